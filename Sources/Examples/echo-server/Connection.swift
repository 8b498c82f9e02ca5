// SPDX-License-Identifier: Apache-2.0
//
// One client, from its first byte to its last.

import AsyncIO

/// A client whose bytes go back to it, in order.
///
/// Nothing is received before everything received so far is sent, so a client that sends and never reads is held back by
/// TCP, and costs one buffer.
final class Connection {
  private let socket: StreamSocket
  private static let bufferSize = 64 * 1024

  init(_ socket: consuming StreamSocket) {
    self.socket = socket
  }

  /// Serves the client until it ends its side, or is lost. The socket is closed with the last reference to this object,
  /// which the task holds.
  func run(on loop: isolated EventLoop) async throws {
    var buffer = [UInt8](repeating: 0, count: Self.bufferSize)
    do {
      try socket.sendWithoutDelay()
      while let count = try await receive(into: &buffer, on: loop) {
        try await send(buffer, count, on: loop)
      }
      try socket.shutdownSending()
    } catch let error as SystemError where error.isConnectionLoss {
      // Its business alone.
    }
  }

  /// Takes what has come, at least one byte, and returns how much; `nil` at the end of the stream.
  private func receive(into buffer: inout [UInt8], on loop: isolated EventLoop) async throws -> Int? {
    while true {
      // Also when more has come already: so that a client that never pauses lets the others have their turn.
      try await loop.waitReadable(socket.descriptor)
      var bytes = buffer.mutableSpan
      if let count = try socket.receive(into: &bytes) { return count == 0 ? nil : count }
    }
  }

  /// Sends the first bytes of the buffer, however long the client takes to read them.
  private func send(_ buffer: [UInt8], _ count: Int, on loop: isolated EventLoop) async throws {
    var sent = 0
    while sent < count {
      if let more = try socket.send(buffer.span.extracting(sent..<count)) {
        sent += more
      } else {
        try await loop.waitWritable(socket.descriptor)
      }
    }
  }
}
