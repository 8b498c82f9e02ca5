// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 14: SV-17, handlers whose clients are lost.

import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct LostClientTests {
  /// Expects what is reported of a handler whose client sends a byte, and is gone by a reset.
  private func expect(
    _ expected: [String], of handler: @escaping @Sendable (Connection) async throws -> Void,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    try TestLoop.runInEachOrder(.network()) { loop in
      let reports = Reports(of: loop)
      let server = try await serve { try await handler($0) }
      let client = try await openConnection(to: server.address)
      try await client.writer.write("x")
      try await sleep(for: .seconds(1))
      client.abort()
      try await sleep(for: .seconds(1))
      server.close()
      try await server.waitClosed()
      let found = reports.value.map { "\($0.kind): \($0.error.map { "\($0)" } ?? "")" }
      #expect(found == expected, sourceLocation: sourceLocation)
    }
  }

  @Test func `SV-17: a handler that lets the loss of its client out is not reported`() throws {
    try expect([]) { connection in for try await _ in connection.reader.chunks {} }
    try expect([]) { connection in
      while true {
        try await connection.writer.write("x")
        try await sleep(for: .milliseconds(10))
      }
    }
    // Of which the first call that is told makes the rest of them throw.
    try expect([]) { connection in
      try? await connection.writer.write("x")
      _ = try? await connection.reader.read()
      try await connection.writer.write("y")
    }
  }

  @Test func `SV-17: all else that it throws is, also when the client is lost`() throws {
    try expect(["connection-handler-failed: \(Oops(number: 3))"]) { connection in
      do {
        _ = try await connection.reader.read()
      } catch {
        throw Oops(number: 3)
      }
    }
    // The client ends in the middle of what is awaited.
    try expect(["connection-handler-failed: \(IncompleteReadError(partial: [], expected: 2))"]) { connection in
      do {
        _ = try await connection.reader.readExactly(2)
      } catch is SystemError {
        throw IncompleteReadError(partial: [], expected: 2)
      }
    }
  }

  @Test func `SV-17: so is the loss of another connection`() throws {
    let lost = SystemError(.connectionReset, in: "recv")
    try expect(["connection-handler-failed: \(lost)"]) { connection in
      let upstream = try await serve {
        try await sleep(for: .milliseconds(10))
        $0.abort()
      }
      defer { upstream.abortClients() }
      let other = try await openConnection(to: upstream.address)
      defer { other.abort() }
      _ = try await other.reader.read()
    }
    // An error that is no call's of the connection, though it has the same number.
    try expect(["connection-handler-failed: \(lost)"]) { _ in throw lost }
  }
}
