// SPDX-License-Identifier: Apache-2.0
//
// Connecting to the first of several addresses that answers: "happy eyeballs", RFC 8305.

import Glibc
import SystemPackage

/// Attempts at several addresses, begun one after the other, of which the first that is connected wins.
///
/// 1. The next address is tried when the attempt before it has had its delay, or has failed.
/// 2. An attempt ends when its socket becomes writable: connected, or with an error, which is kept.
/// 3. One that is connected wins; the other sockets are closed. When none is left, the errors are thrown.
///
/// Invariant, and the reason for `@unchecked Sendable`: it belongs to the thread that holds the loop. Each socket is held
/// by one attempt, and its watch ends before it is closed.
final class ConnectRace: @unchecked Sendable {
  private let options: ConnectionOptions
  private let executor: LoopExecutor
  private let waiter = Waiter()
  private var candidates: ArraySlice<SocketAddress>
  private var attempts: [ConnectAttempt] = []
  private var failures: [AddressError] = []

  init(_ candidates: [SocketAddress], _ options: ConnectionOptions, on loop: EventLoop) {
    self.candidates = ConnectRace.interleaved(candidates)[...]
    self.options = options
    executor = loop.executor
  }

  /// Races, to the end.
  ///
  /// - Returns: The socket that is connected.
  /// - Throws: ``ConnectError``; ``TimeoutError`` at the deadline; `CancellationError`. No socket is left open then.
  func winner(on loop: isolated EventLoop, until deadline: Deadline?) async throws -> OwnedSocket {
    defer { for attempt in attempts { attempt.end() } }
    var nextStart = loop.timeSource.now
    while true {
      if let socket = takeWinner(&nextStart, on: loop) { return socket }
      let now = loop.timeSource.now
      if let deadline, deadline <= now { throw TimeoutError() }
      if attempts.isEmpty || nextStart <= now, let address = candidates.popFirst() {
        nextStart = begin(address, on: loop) ? now.advanced(by: options.attemptDelay) : now
        continue
      }
      if attempts.isEmpty { throw ConnectError(failures) }
      try await wait(until: candidates.isEmpty ? deadline : min(nextStart, deadline ?? .never))
    }
  }

  private func wait(until deadline: Deadline?) async throws {
    do {
      try await waiter.wait(on: executor, until: deadline)
    } catch is TimeoutError {
      // Whose time it was is asked above.
    }
  }

  /// - Returns: `false` when the attempt has failed already.
  private func begin(_ address: SocketAddress, on loop: isolated EventLoop) -> Bool {
    do throws(SystemError) {
      let attempt = ConnectAttempt(address, try open(address, on: loop))
      attempts.append(attempt)
      try attempt.connect(on: loop) { [waiter] in waiter.wake() }
      return true
    } catch {
      fail(address, error)
      return false
    }
  }

  private func open(_ address: SocketAddress, on loop: isolated EventLoop) throws(SystemError) -> OwnedSocket {
    let socket = try OwnedSocket.open(address.family, Int32(SOCK_STREAM.rawValue), calls: loop.systemCalls)
    if let local = options.localAddress {
      guard local.family == address.family else { throw SystemError(.addressFamilyNotSupported, in: "bind") }
      // So that attempts may stand beside each other, and beside a connection from there that has just ended.
      if local.port != 0 { try socket.setOption(SO_REUSEADDR, of: SOL_SOCKET) }
      try socket.bind(to: local)
    }
    if address.family != .unix { try socket.setUpTCP(noDelay: options.noDelay, keepAlive: options.keepAlive) }
    return socket
  }

  private func takeWinner(_ nextStart: inout Deadline, on loop: isolated EventLoop) -> OwnedSocket? {
    for attempt in attempts where attempt.isDecided {
      do throws(SystemError) {
        if let socket = try attempt.take() { return socket }
      } catch {
        fail(attempt.address, error)
        nextStart = loop.timeSource.now
      }
    }
    return nil
  }

  private func fail(_ address: SocketAddress, _ error: SystemError) {
    for attempt in attempts where attempt.address == address { attempt.end() }
    attempts.removeAll { $0.address == address }
    failures.append(AddressError(address, error))
  }

  /// Each address once, the families in turn, in the order of each family, that of the first address first.
  static func interleaved(_ addresses: [SocketAddress]) -> [SocketAddress] {
    var seen: Set<SocketAddress> = []
    let distinct = addresses.filter { seen.insert($0).inserted }
    let ofFirst = distinct.filter { $0.family == distinct.first?.family }
    let others = distinct.filter { $0.family != distinct.first?.family }
    var result: [SocketAddress] = []
    for index in 0..<max(ofFirst.count, others.count) {
      if index < ofFirst.count { result.append(ofFirst[index]) }
      if index < others.count { result.append(others[index]) }
    }
    return result
  }
}

/// One attempt: a socket on its way to an address.
private final class ConnectAttempt {
  let address: SocketAddress
  /// Whether the socket is connected, or has failed.
  private(set) var isDecided = false
  private var socket: OwnedSocket?
  private var watch: (any Watch)?

  init(_ address: SocketAddress, _ socket: consuming OwnedSocket) {
    self.address = address
    self.socket = consume socket
  }

  func connect(on loop: isolated EventLoop, whenDecided: @escaping () -> Void) throws(SystemError) {
    guard let descriptor = socket?.descriptor else { return }
    if try socket?.connect(to: address) == true {
      isDecided = true
      return
    }
    // Unowned: the watch, which holds this closure, ends with this object.
    watch = try loop.backend.watch(descriptor, for: .writable, isOwned: true) { [unowned self] in
      // Told once: the watch rests until somebody has asked what was decided.
      watch?.pause()
      isDecided = true
      whenDecided()
    }
  }

  /// Takes the socket, which is connected; `nil` when it was taken.
  func take() throws(SystemError) -> OwnedSocket? {
    if let errno = try socket?.pendingError() { throw SystemError(errno, in: "connect") }
    // On a port that nobody listens on, the kernel may have connected the socket to itself.
    if address.family != .unix, try socket?.localAddress == address {
      throw SystemError(.connectionRefused, in: "connect")
    }
    watch?.end()
    watch = nil
    return socket.take()
  }

  func end() {
    watch?.end()
    watch = nil
    socket = nil
  }
}
