// SPDX-License-Identifier: Apache-2.0
//
// Takes the clients that connect, and gives each a task of its own.

import AsyncIO
import SystemPackage

/// The listening socket, and the loop that accepts on it.
final class Acceptor {
  private let socket: ListeningSocket
  private var isShort = false

  /// Where it listens.
  let address: SocketAddress

  /// Clients taken before the rest of the loop gets its turn.
  private static let batch = 64

  init(listeningOn address: SocketAddress) throws {
    do {
      socket = try ListeningSocket(bindingTo: address)
      self.address = try socket.localAddress
    } catch {
      throw CannotListen(address: address, error: error)
    }
  }

  /// Accepts clients until it is cancelled.
  func run(on loop: isolated EventLoop) async throws {
    while true {
      try await loop.waitReadable(socket.descriptor)
      do {
        try acceptBatch(on: loop)
      } catch let error as SystemError where error.isShortage {
        // The client waits in the kernel's queue, so the socket stays readable: without a pause, this would spin.
        report(error)
        try await loop.sleep(for: .seconds(1))
      }
    }
  }

  private func acceptBatch(on loop: isolated EventLoop) throws {
    for _ in 0..<Self.batch {
      do {
        guard let client = try nextClient() else {
          isShort = false
          return
        }
        loop.createTask { try await client.run(on: loop) }
      } catch {
        guard error.isOfOneClient else { throw error }
      }
    }
  }

  private func nextClient() throws(SystemError) -> Connection? {
    guard let client = try socket.accept() else { return nil }
    return Connection(client)
  }

  /// Reports a shortage once, until nobody waits any more.
  private func report(_ shortage: SystemError) {
    guard !isShort else { return }
    isShort = true
    _ = try? FileDescriptor.standardError.writeAll("echo-server: \(shortage); new clients wait\n".utf8)
  }
}

/// The port is in use, or the address is not one of this machine.
struct CannotListen: Error, CustomStringConvertible {
  let address: SocketAddress
  let error: SystemError

  var description: String { "cannot listen on \(address): \(error)" }
}
