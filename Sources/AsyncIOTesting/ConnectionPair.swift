// SPDX-License-Identifier: Apache-2.0
//
// Two connections back to back, for tests of code that has one.

public import AsyncIO

/// Makes two connections that are joined: what is written to one is read from the other.
///
/// ```swift
/// try TestLoop.run(seeds: 0..<200, world) { loop in
///   let (near, far) = try connectionPair()
///   defer { near.abort(); far.abort() }
///   let session = loop.createTask { try await serve(far) }
///   try await near.writer.write("hello\n")
///   #expect(try await near.reader.readLine() == "hello yourself")
///   near.close()
///   try await session.value
/// }
/// ```
///
/// No server listens, and nobody connects. The bytes go by the network in memory, with its latency, capacity and losses
/// (``TestLoop/Configuration/network``), and by the script, which cuts them and lets calls fail
/// (``TestLoop/Configuration/system``). Where the configuration names no network, it is one of ``TestLoop/Network/init()``.
///
/// Each has to be closed, as any connection.
///
/// - Parameters:
///   - options: Of both.
///   - fileID: With `line`, where they were made, for reports of what was not closed; leave it to its default.
///   - line: As `fileID`.
/// - Threading: On a loop under test, whose the connections are.
/// - Throws: ``NoTestLoopError`` on a loop that no test made; `InvalidArgumentError` for options that cannot be;
///   `NoRunningLoopError`.
public func connectionPair(
  options: StreamOptions = StreamOptions(), fileID: StaticString = #fileID, line: UInt = #line
) throws -> (near: Connection, far: Connection) {
  let loop = try EventLoop.running
  guard let run = TestRuns.run(of: loop) else { throw NoTestLoopError() }
  try options.requireValid()
  let (near, far) = run.makeSocketPair()
  let site = CreationSite(fileID, line)
  return (
    try Connection.confined(OwnedSocket(owning: near, calls: run.callsOfNetwork), options, site, to: loop),
    try Connection.confined(OwnedSocket(owning: far, calls: run.callsOfNetwork), options, site, to: loop)
  )
}
