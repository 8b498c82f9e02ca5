// SPDX-License-Identifier: Apache-2.0
//
// A network in memory: what is sent arrives on the loop's time, in an order that the seed knows.

import AsyncIO
import Glibc
import SystemPackage

/// The sockets of a run, and what is on its way between them.
///
/// Invariant, and the reason for `@unchecked Sendable`: all state is under the lock, and no code of others runs there: notices are given after it was let go of.
/// Events are in order of (time, sending), and what is sent in one direction of a connection arrives in its order.
final class MemoryNetwork: @unchecked Sendable {
  enum Event {
    case bytes(MemorySocket, [UInt8])
    case end(MemorySocket)
    case lost(MemorySocket, Errno)
    case request(from: MemorySocket, to: SocketAddress)
    case established(MemorySocket)
    case datagram(MemorySocket, [UInt8], from: SocketAddress?)
  }

  struct State {
    var sockets: [Int32: MemorySocket] = [:]
    var bound: [Endpoint: MemorySocket] = [:]
    var events: [(time: Deadline, event: Event)] = []
    var generator: SplitMix64
    var nextPort = 49_152
    /// Until when nothing arrives.
    var stalledUntil = Deadline(nanoseconds: 0)
    var watches: [MemoryWatch] = []
  }

  /// An address to bind to.
  struct Endpoint: Hashable {
    let text: String
    let isStream: Bool
  }

  let options: TestLoop.Network
  private let clock: TestClock
  private let lock = Locked(())
  private var state: State
  /// For what is no socket of the network: pipes, files.
  let kernel = LinuxSystemCalls()

  /// Numbers from here on are the network's; the kernel gives out the lowest that are free.
  static let firstDescriptor: Int32 = 1 << 24

  init(_ options: TestLoop.Network, seed: UInt64, clock: TestClock) {
    self.options = options
    self.clock = clock
    state = State(generator: SplitMix64(state: seed ^ 0x0dd_ba11))
  }

  /// Calls with the state. What the body throws is an `errno`.
  func withState<T>(_ body: (inout State) throws(Errno) -> T) throws(Errno) -> T {
    var result: Result<T, Errno>?
    lock.withLock { _ in
      do throws(Errno) {
        result = .success(try body(&state))
      } catch {
        result = .failure(error)
      }
    }
    guard let result else { preconditionFailure("the lock has called its body") }
    return try result.get()
  }

  /// The same, of a body that does not throw.
  func changeState<T>(_ body: (inout State) -> T) -> T {
    var result: T?
    lock.withLock { _ in result = body(&state) }
    guard let result else { preconditionFailure("the lock has called its body") }
    return result
  }

  // MARK: Sending

  var now: Deadline { clock.now }

  /// Puts something on its way.
  func send(_ event: Event, to socket: MemorySocket?, _ state: inout State) {
    let (least, most) = (
      options.latency.lowerBound.saturatingNanoseconds, options.latency.upperBound.saturatingNanoseconds
    )
    let spread = UInt64(max(0, most - least))
    let latency = least + Int64(spread == 0 ? 0 : state.generator.next() % (spread + 1))
    var time = max(now, state.stalledUntil).advanced(by: .nanoseconds(max(0, latency)))
    if let socket {
      time = max(time, socket.lastArrival)
      socket.lastArrival = time
    }
    let place = state.events.lastIndex { $0.time <= time }.map { $0 + 1 } ?? 0
    state.events.insert((time, event), at: place)
  }

  /// The next number, the lowest that is free: as the kernel does it, so that a number that is used after its closing
  /// meets a stranger.
  func enter(_ socket: MemorySocket, _ state: inout State) -> Int32 {
    var number = Self.firstDescriptor
    while state.sockets[number] != nil { number += 1 }
    state.sockets[number] = socket
    return number
  }

  func endpoint(_ address: SocketAddress, _ socket: MemorySocket) -> Endpoint {
    Endpoint(text: "\(address)", isStream: socket.isStream)
  }

  /// Who is bound to an address, or to its port on all addresses.
  func socket(at address: SocketAddress, for sender: MemorySocket, _ state: State) -> MemorySocket? {
    if let exact = state.bound[endpoint(address, sender)] { return exact }
    let wildcard = sender.family == AF_INET6 ? "[::]" : "0.0.0.0"
    return state.bound[Endpoint(text: "\(wildcard):\(address.port)", isStream: sender.isStream)]
  }

  // MARK: Arriving

  /// Lets an event happen.
  private func happen(_ event: Event, _ state: inout State) {
    switch event {
    case .bytes(let socket, let bytes):
      if socket.phase == .closed { return }
      socket.arrive(bytes)
    case .end(let socket): socket.hasEnded = true
    case .lost(let socket, let error):
      if socket.phase == .closed { return }
      socket.error = error
      socket.hasEnded = true
      socket.isWriteShut = true
      if socket.phase == .connecting { socket.phase = .fresh }
    case .datagram(let socket, let bytes, let sender):
      if socket.phase != .closed { socket.datagrams.append((bytes, sender)) }
    case .established(let socket):
      if socket.phase == .connecting { socket.phase = .connected }
    case .request(let client, let address):
      if client.phase == .connecting { answer(client, address, &state) }
    }
  }

  private func answer(_ client: MemorySocket, _ address: SocketAddress, _ state: inout State) {
    guard let listener = socket(at: address, for: client, state), listener.phase == .listening else {
      return send(.lost(client, .connectionRefused), to: client, &state)
    }
    guard listener.backlog.count <= listener.backlogLimit else {
      // As TCP does it, the client asks again.
      state.events.append((now.advanced(by: .seconds(1)), .request(from: client, to: address)))
      state.events.sort { $0.time < $1.time }
      return
    }
    let server = MemorySocket(family: client.family, type: client.type)
    server.phase = .connected
    (server.local, server.remote) = (address, client.local)
    (server.peer, client.peer) = (client, server)
    listener.backlog.append(server)
    send(.established(client), to: client, &state)
  }

  // MARK: What a test does to it

  /// Loses all connections, at once and on both sides; also those that nobody has accepted yet, or been told of.
  func resetConnections() {
    changeState { state in
      let open = state.sockets.sorted { $0.key < $1.key }.map(\.value)
      for socket in open + open.flatMap(\.backlog) where socket.isStream && socket.phase == .connected {
        happen(.lost(socket, .connectionReset), &state)
        if let peer = socket.peer, peer.phase == .connecting { happen(.lost(peer, .connectionReset), &state) }
      }
    }
  }

  /// Lets nothing arrive for a while.
  func stall(for duration: Duration) {
    changeState { state in
      state.stalledUntil = max(state.stalledUntil, now.advanced(by: duration))
      let end = state.stalledUntil
      state.events = state.events.map { (max($0.time, end), $0.event) }
    }
  }

  /// The open sockets.
  var openDescriptors: [Int32] { changeState { $0.sockets.keys.sorted() } }
}

// MARK: Readiness

extension MemoryNetwork: TestNetwork {
  var nextEvent: Deadline? { changeState { $0.events.first?.time } }

  func owns(_ descriptor: Int32) -> Bool { descriptor >= Self.firstDescriptor }

  func watch(
    _ descriptor: Int32, for readiness: Readiness, notice: @escaping () -> Void
  ) throws(SystemError) -> any Watch {
    let watch: MemoryWatch
    do {
      watch = try withState { state throws(Errno) in
        guard let socket = state.sockets[descriptor] else { throw .badFileDescriptor }
        let watch = MemoryWatch(socket, readiness, notice)
        state.watches.append(watch)
        return watch
      }
    } catch {
      throw SystemError(error, in: "epoll_ctl")
    }
    return watch
  }

  func deliver(at now: Deadline) -> Bool {
    let ready = changeState { state -> [MemoryWatch] in
      while let first = state.events.first, first.time <= now {
        state.events.removeFirst()
        happen(first.event, &state)
      }
      state.watches.removeAll { $0.hasEnded }
      return state.watches.filter { $0.isReady(options.capacity) }
    }
    for watch in ready { watch.tell() }
    return !ready.isEmpty
  }
}

/// The interest in a socket of the network.
///
/// Invariant: what it watches is asked under the network's lock; the rest belongs to the loop's thread.
final class MemoryWatch: Watch {
  private let socket: MemorySocket
  private let readiness: Readiness
  private var notice: (() -> Void)?
  private var isPaused = false

  init(_ socket: MemorySocket, _ readiness: Readiness, _ notice: @escaping () -> Void) {
    self.socket = socket
    self.readiness = readiness
    self.notice = notice
  }

  var hasEnded: Bool { notice == nil }

  func isReady(_ capacity: Int) -> Bool {
    guard !isPaused, !hasEnded else { return false }
    return readiness == .writable ? socket.isWritable(capacity) : socket.isReadable
  }

  /// Gives the notice, unless another notice has ended the interest.
  func tell() { if !isPaused { notice?() } }

  func pause() { isPaused = true }
  func resume() throws(SystemError) { isPaused = false }
  func end() { notice = nil }
}
