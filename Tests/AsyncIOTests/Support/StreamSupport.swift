// SPDX-License-Identifier: Apache-2.0
//
// Connections for tests: over the near end of a pair, whose far end the test plays.

import AsyncIOTesting
import Glibc
import SystemPackage

@testable import AsyncIO

extension Connection {
  /// A connection over the near end of a pair.
  convenience init(
    near pair: DescriptorPair, options: StreamOptions = StreamOptions(), calls: (any SystemCalls)? = nil,
    on loop: isolated EventLoop
  ) throws {
    let socket = OwnedSocket(owning: pair.giveNear(), calls: calls ?? loop.systemCalls)
    try self.init(owning: socket, options: options, on: loop)
  }
}

extension StreamOptions {
  init(limit: Int = 65_536, low: Int = 16_384, high: Int = 65_536) {
    self.init()
    self.limit = limit
    lowWaterMark = low
    highWaterMark = high
  }
}

extension EventLoop {
  /// A connection whose bytes a script says, with what keeps its descriptor ready.
  func scripted(
    _ socket: ScriptedSocket, options: StreamOptions = StreamOptions()
  ) throws -> (connection: Connection, pair: DescriptorPair) {
    let pair = try DescriptorPair.sockets()
    try pair.send()
    return (try Connection(near: pair, options: options, calls: socket, on: self), pair)
  }
}

/// Runs a loop with a connection, over a pair of Unix sockets, and closes it.
func withConnection(
  options: StreamOptions = StreamOptions(),
  _ body: @escaping @Sendable (isolated EventLoop, Connection, DescriptorPair) async throws -> Void
) throws {
  try EventLoop.run { loop in
    let pair = try DescriptorPair.sockets()
    let connection = try Connection(near: pair, options: options, on: loop)
    defer { connection.abort() }
    try await body(loop, connection, pair)
  }
}

/// Runs loops on virtual time, in FIFO order and over seeds, with the two ends of a connection in memory, and closes both.
///
/// What is sent arrives a millisecond later, where there is room for it.
func withConnectionPair(
  options: StreamOptions = StreamOptions(), capacity: Int = 65_536,
  _ body: @escaping @Sendable (isolated EventLoop, _ near: Connection, _ far: Connection) async throws -> Void
) throws {
  try runInMemory(capacity: capacity) { loop in
    let (near, far) = try connectionPair(options: options)
    defer {
      near.abort()
      far.abort()
    }
    try await body(loop, near, far)
  }
}

/// Runs loops on virtual time, in FIFO order and over seeds, with a reader of the bytes that a script says.
func withReader(
  of bytes: some Sequence<UInt8>, in pieces: [Int] = [], limit: Int = 65_536,
  _ body: @escaping @Sendable (isolated EventLoop, StreamReader) async throws -> Void
) throws {
  let bytes = Array(bytes)
  try runVirtually { loop in
    let socket = ScriptedSocket(bytes, receiving: pieces.map { .count($0) })
    let (connection, pair) = try loop.scripted(socket, options: StreamOptions(limit: limit))
    defer { withExtendedLifetime(pair) { connection.abort() } }
    try await body(loop, connection.reader)
  }
}

extension String {
  init(_ bytes: [UInt8]) { self.init(decoding: bytes, as: UTF8.self) }
}

extension [UInt8] {
  init(text: String) { self.init(text.utf8) }
}

/// The name of what a call throws, or `none`.
func thrown(_ body: () async throws -> Void) async -> String {
  do {
    try await body()
    return "none"
  } catch {
    return "\(error)"
  }
}
