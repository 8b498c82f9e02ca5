// SPDX-License-Identifier: Apache-2.0
//
// One listening socket of a server, and what happens when no client can be taken.

import Glibc
import SystemPackage

/// A socket that listens, for lists: owners that cannot be copied do not go into arrays.
final class ListeningSocketBox: Sendable {
  let socket: ListeningSocket

  init(_ socket: consuming ListeningSocket) { self.socket = socket }

  var localAddress: SocketAddress {
    get throws(SystemError) { try socket.localAddress }
  }
}

/// A listening socket of a server: it takes the clients that come, some in each turn.
///
/// Invariant: the watch ends before the socket is closed, and the callback that waits in the FIFO does nothing after. All
/// of it belongs to the thread that holds the loop, which is the reason for `@unchecked Sendable`.
final class Listener: @unchecked Sendable {
  private var socket: ListeningSocketBox?
  private var watch: (any Watch)?
  private unowned let server: ServerCore
  private let limit: Int
  private var isQueued = false

  /// So many clients are taken before the rest of the loop gets its turn, at most.
  static let batch = 256

  init(
    _ socket: ListeningSocketBox, atMost limit: Int, of server: ServerCore, on loop: isolated EventLoop
  ) throws(SystemError) {
    self.socket = socket
    self.limit = limit
    self.server = server
    let executor = loop.executor
    // Weak: the backend's watch, which holds this closure, is held by this object.
    watch = try loop.backend.watch(socket.socket.descriptor, for: .readable, isOwned: true) { [weak self] in
      guard let self, !isQueued else { return }
      isQueued = true
      // The server, too: what stands before this in the queue may close it, and let go of it.
      executor.ready.append(
        .callback { [server = self.server] in server.loop.assumeIsolated { self.acceptBatch(on: $0) } })
    }
  }

  private func acceptBatch(on loop: isolated EventLoop) {
    isQueued = false
    for _ in 0..<limit where socket != nil && server.isAccepting {
      do throws(SystemError) {
        guard try acceptOne(on: loop) else { return server.nobodyWaits() }
      } catch {
        if error.isOfOneClient { continue }
        return server.pause(for: error, on: loop)
      }
    }
    // One of the limits may have been reached.
    if socket != nil { server.updateInterest(on: loop) }
  }

  private func acceptOne(on loop: isolated EventLoop) throws(SystemError) -> Bool {
    guard let client = try socket?.socket.accept() else { return false }
    server.serve(client, on: loop)
    return true
  }

  /// Its socket's number; `nil` when it is closed.
  var descriptor: Int32? { socket?.socket.descriptor.rawValue }

  func pause() { watch?.pause() }

  func resume() throws(SystemError) { try watch?.resume() }

  func close() {
    watch?.end()
    watch = nil
    socket = nil
  }
}

/// A time in which no client can be taken: the process is out of descriptors, or the like.
///
/// Invariant: while it waits there is one timer, and no other. The first failure begins it, and it is
/// over when all clients have been taken; the delays between grow.
final class AcceptShortage {
  private var timer: TimerHandle?
  private var delay = firstDelay
  private var isReported = false

  private static let firstDelay = Duration.seconds(1)
  private static let longestDelay = Duration.seconds(16)

  /// Whether the listeners rest for it.
  var isWaiting: Bool { timer != nil }

  /// Notes a failure, and calls back when it is time to try again.
  ///
  /// - Returns: Whether it is to be reported: once until nobody waits any more.
  func begin(on loop: isolated EventLoop, whenOver: @escaping (isolated EventLoop) -> Void) -> Bool {
    if timer == nil {
      timer = loop.callLater(delay) { [unowned self] in
        timer = nil
        loop.assumeIsolated(whenOver)
      }
      delay = min(delay * 2, Self.longestDelay)
    }
    defer { isReported = true }
    return !isReported
  }

  /// Ends the wait before its time.
  func cancelTimer(on loop: isolated EventLoop) {
    timer?.cancel()
    timer = nil
  }

  /// A client was taken; others may wait still.
  func ease() { delay = Self.firstDelay }

  /// Nobody waits any more.
  func end() { isReported = false }
}
