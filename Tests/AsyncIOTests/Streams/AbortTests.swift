// SPDX-License-Identifier: Apache-2.0
//
// Contract, sections 13 and 14: SW-12, SV-15, what the peer of a connection that is aborted is told.

import AsyncIOTesting
import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct AbortTests {
  private static let reset = "\(SystemError(.connectionReset, in: "recv"))"

  /// How a stream ends for who reads it to the end.
  private func end(of descriptor: FileDescriptor) async throws -> String {
    while true {
      do {
        if try DescriptorPair.read(descriptor, 1_000_000).isEmpty { return "end" }
      } catch let errno as Errno {
        if errno == .connectionReset { return "reset" }
        guard errno == .wouldBlock else { return "\(errno)" }
        try await sleep(for: .milliseconds(1))
      }
    }
  }

  /// Writes until something is queued.
  private func fill(_ connection: Connection) throws {
    while connection.writer.queuedCount == 0 { try connection.writer.writeNow([UInt8](repeating: 1, count: 65_536)) }
  }

  @Test(arguments: [true, false])
  func `SW-12: over TCP, a peer of a connection that is aborted gets a reset, and not the end`(isQueued: Bool) throws {
    try EventLoop.run { loop in
      for isByWriter in [true, false] {
        let pair = try DescriptorPair.tcp()
        let connection = try Connection(near: pair, on: loop)
        if isQueued { try fill(connection) }
        if isByWriter { connection.writer.abort() } else { connection.abort() }
        connection.abort()
        connection.close()
        #expect(try await end(of: pair.far) == "reset")
        try await connection.waitClosed()
      }
    }
  }

  @Test func `SW-11: a close is an end, also one that has to flush; what is aborted meanwhile is a reset`() throws {
    try EventLoop.run { loop in
      for (isQueued, isAborted) in [(false, false), (true, false), (true, true)] {
        let pair = try DescriptorPair.tcp()
        let connection = try Connection(near: pair, on: loop)
        if isQueued { try fill(connection) }
        connection.close()
        if isAborted { connection.abort() }
        #expect(try await end(of: pair.far) == (isAborted ? "reset" : "end"))
      }
    }
  }

  @Test func `bytes that are lost with their loop are a reset; where none are, the peer finds the end`() throws {
    for isQueued in [true, false] {
      let pair = try DescriptorPair.tcp()
      nonisolated(unsafe) var kept: Connection?
      nonisolated(unsafe) let near = pair
      let loop = try EventLoop()
      try loop.whileIdle { loop in
        let connection = try unsafe Connection(near: near, on: loop)
        if isQueued { try fill(connection) }
        unsafe kept = connection
      }
      loop.close()
      #expect(unsafe kept?.isClosing == true)
      unsafe kept = nil
      let far = pair.far
      let found = try EventLoop.run { _ in try await end(of: far) }
      withExtendedLifetime(pair) {}
      #expect(found == (isQueued ? "reset" : "end"))
    }
  }

  @Test func `a connection that is dropped is closed, and no reset`() throws {
    try EventLoop.run { loop in
      _ = Reports(of: loop)
      let pair = try DescriptorPair.tcp()
      try { () throws in _ = try Connection(near: pair, on: loop).writer.writeNow("all of it") }()
      #expect(try await end(of: pair.far) == "end")
    }
  }

  @Test func `SW-11, SW-21: what is queued is sent while a half is held, and lost with a connection that is dropped`()
    throws
  {
    try TestLoop.runInEachOrder(.network()) { loop in
      let reports = Reports(of: loop)
      var losses = 0
      let server = try await serve { connection in
        try await sleep(for: .seconds(5))
        do {
          let count = try await connection.reader.read().count
          try await connection.writer.write("\(count)")
        } catch {
          losses += 1
          throw error
        }
      }
      let address = server.address
      for keepsHalf in [false, true] {
        let reader = try await { () async throws in
          let connection = try await openConnection(to: address)
          try connection.writer.writeNow([UInt8](repeating: 1, count: 1_000_000))
          if keepsHalf { connection.writer.closeWriting() }
          return keepsHalf ? connection.reader : nil
        }()
        if let reader { #expect(try await reader.read() == Array("1000000".utf8)) }
        reader?.close()
      }
      try await loop.waitAllTasksBlocked()
      server.close()
      try await server.waitClosed()
      #expect(losses == 1)
      #expect(reports.kinds == [.connectionNotClosed])
    }
  }

  @Test func `SW-12: a Unix socket knows no reset: the peer finds the end`() throws {
    try withConnection { _, connection, pair in
      connection.abort()
      let found = try await end(of: pair.far)
      #expect(found == "end")
    }
  }

  @Test func `SV-15: clients that are aborted get a reset, those of a gentle close the end`() throws {
    try EventLoop.run { loop in
      for isGentle in [true, false] {
        let server = try await serve { connection in try await echo(connection) }
        let client = try await openConnection(to: server.address)
        try await client.writer.write("x")
        #expect(try await client.reader.readExactly(1) == Array("x".utf8))
        if isGentle { try await server.closeClients(grace: .zero) } else { server.abortClients() }
        let end = await thrown { () async throws in #expect(try await client.reader.read() == []) }
        #expect(end == (isGentle ? "none" : Self.reset))
        client.abort()
        try await server.waitClosed()
      }
    }
  }

  @Test func `SW-12: the network in memory resets, too, after what had come`() throws {
    try TestLoop.runInEachOrder(.network()) { loop in
      let server = try await serve { connection in
        try await connection.writer.write("some")
        try await sleep(for: .milliseconds(10))
        connection.abort()
      }
      let client = try await openConnection(to: server.address)
      #expect(try await client.reader.readExactly(4).count == 4)
      #expect(await thrown { _ = try await client.reader.read() } == Self.reset)
      client.close()
      server.close()
      try await server.waitClosed()
    }
  }
}
