// SPDX-License-Identifier: Apache-2.0
//
// The system calls as the network in memory answers them.

import AsyncIO
import Glibc
import SystemPackage

// SAFETY, for all of this file: a buffer is the caller's for the length of the call; what is in it is copied.

extension MemoryNetwork: SystemCalls {
  private func socket(_ descriptor: Int32, _ state: State) throws(Errno) -> MemorySocket {
    guard let socket = state.sockets[descriptor] else { throw .badFileDescriptor }
    return socket
  }

  // MARK: Sockets

  func socket(_ family: Int32, _ type: Int32) throws(Errno) -> Int32 {
    changeState { state in enter(MemorySocket(family: family, type: type), &state) }
  }

  func setOption(_ descriptor: Int32, _ level: Int32, _ option: Int32, to value: Int32) throws(Errno) {
    if !owns(descriptor) { return try kernel.setOption(descriptor, level, option, to: value) }
    try withState { state throws(Errno) in
      try socket(descriptor, state).options[Self.key(level, option)] = value
    }
  }

  func option(_ descriptor: Int32, _ level: Int32, _ option: Int32) throws(Errno) -> Int32 {
    if !owns(descriptor) { return try kernel.option(descriptor, level, option) }
    return try withState { state throws(Errno) in
      let socket = try socket(descriptor, state)
      if level == SOL_SOCKET && option == SO_ERROR { return socket.error.take()?.rawValue ?? 0 }
      return socket.options[Self.key(level, option)] ?? 0
    }
  }

  private static func key(_ level: Int32, _ option: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: level)) << 32 | UInt64(UInt32(bitPattern: option))
  }

  var makesFiles: Bool { false }

  func bind(_ descriptor: Int32, to address: SocketAddress) throws(Errno) {
    try withState { state throws(Errno) in
      let socket = try socket(descriptor, state)
      guard socket.local == nil else { throw .invalidArgument }
      var address = address
      if socket.family != AF_UNIX && address.port == 0 { address = try withFreePort(address, socket, &state) }
      guard state.bound[endpoint(address, socket)] == nil else { throw .addressInUse }
      state.bound[endpoint(address, socket)] = socket
      socket.local = address
    }
  }

  /// Two sockets that are connected to each other, as by the loopback interface.
  func makePair() -> (Int32, Int32) {
    changeState { state in
      let ends = (0..<2).map { _ in MemorySocket(family: AF_INET, type: Int32(SOCK_STREAM.rawValue)) }
      for end in ends {
        end.phase = .connected
        if let any = try? SocketAddress(host: "127.0.0.1", port: 0) { end.local = try? withFreePort(any, end, &state) }
      }
      (ends[0].peer, ends[1].peer) = (ends[1], ends[0])
      (ends[0].remote, ends[1].remote) = (ends[1].local, ends[0].local)
      return (enter(ends[0], &state), enter(ends[1], &state))
    }
  }

  /// The same host, with a port that nobody has.
  private func withFreePort(
    _ address: SocketAddress, _ socket: MemorySocket, _ state: inout State
  ) throws(Errno) -> SocketAddress {
    let text = "\(address)"
    let host = text.prefix(upTo: text.lastIndex(of: ":") ?? text.endIndex)
      .filter { $0 != "[" && $0 != "]" }
    for _ in 49_152..<65_536 {
      let port = state.nextPort
      state.nextPort = port == 65_535 ? 49_152 : port + 1
      guard let chosen = try? SocketAddress(host: host, port: port) else { throw .invalidArgument }
      if state.bound[endpoint(chosen, socket)] == nil { return chosen }
    }
    throw .addressInUse
  }

  /// Gives one that sends, or connects, an address of its own, if it has none. Datagrams find their way back by it.
  private func nameSender(_ socket: MemorySocket, _ state: inout State) throws(Errno) {
    guard socket.local == nil && socket.family != AF_UNIX else { return }
    guard let any = try? SocketAddress(host: socket.loopbackHost, port: 0) else { throw .invalidArgument }
    let address = try withFreePort(any, socket, &state)
    socket.local = address
    if !socket.isStream { state.bound[endpoint(address, socket)] = socket }
  }

  func listen(_ descriptor: Int32, backlog: Int32) throws(Errno) {
    try withState { state throws(Errno) in
      let socket = try socket(descriptor, state)
      socket.phase = .listening
      socket.backlogLimit = Int(backlog)
    }
  }

  func connect(_ descriptor: Int32, to address: SocketAddress) throws(Errno) {
    try withState { state throws(Errno) in
      let socket = try socket(descriptor, state)
      try nameSender(socket, &state)
      let address = socket.reachable(address)
      socket.remote = address
      guard socket.isStream else {
        socket.phase = .connected
        return
      }
      guard socket.phase == .fresh else { throw socket.phase == .connecting ? .alreadyInProcess : .socketIsConnected }
      socket.phase = .connecting
      send(.request(from: socket, to: address), to: nil, &state)
      throw .nowInProgress
    }
  }

  func accept(_ descriptor: Int32) throws(Errno) -> Int32 {
    if !owns(descriptor) { return try kernel.accept(descriptor) }
    return try withState { state throws(Errno) in
      let listener = try socket(descriptor, state)
      guard listener.phase == .listening else { throw .invalidArgument }
      guard !listener.backlog.isEmpty else { throw .resourceTemporarilyUnavailable }
      return enter(listener.backlog.removeFirst(), &state)
    }
  }

  func localAddress(_ descriptor: Int32) throws(Errno) -> SocketAddress {
    if !owns(descriptor) { return try kernel.localAddress(descriptor) }
    return try withState { state throws(Errno) in
      let socket = try socket(descriptor, state)
      return try socket.told(socket.local)
    }
  }

  func peerAddress(_ descriptor: Int32) throws(Errno) -> SocketAddress {
    if !owns(descriptor) { return try kernel.peerAddress(descriptor) }
    return try withState { state throws(Errno) in
      let socket = try socket(descriptor, state)
      guard socket.phase == .connected else { throw .socketNotConnected }
      return try socket.told(socket.remote)
    }
  }

  func shutdown(_ descriptor: Int32, _ how: Int32) throws(Errno) {
    if !owns(descriptor) { return try kernel.shutdown(descriptor, how) }
    try withState { state throws(Errno) in
      let socket = try socket(descriptor, state)
      guard socket.phase == .connected else { throw .socketNotConnected }
      if how != Int32(SHUT_WR) { socket.isReadShut = true }
      if how != Int32(SHUT_RD), !socket.isWriteShut {
        socket.isWriteShut = true
        if let peer = socket.peer { send(.end(peer), to: peer, &state) }
      }
    }
  }

  // MARK: Bytes

  func receive(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    if !owns(descriptor) { return try unsafe kernel.receive(descriptor, into: buffer) }
    return try withState { state throws(Errno) in
      let socket = try socket(descriptor, state)
      if socket.available > 0 { return unsafe socket.take(into: buffer) }
      try socket.takeError()
      if socket.hasEnded || socket.isReadShut { return 0 }
      throw socket.phase == .connected ? .resourceTemporarilyUnavailable : .socketNotConnected
    }
  }

  func send(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer) throws(Errno) -> Int {
    if !owns(descriptor) { return try unsafe kernel.send(descriptor, buffer) }
    return try withState { state throws(Errno) in
      try unsafe send(buffer, from: socket(descriptor, state), &state)
    }
  }

  func send(
    _ descriptor: Int32, _ buffers: UnsafeBufferPointer<UnsafeRawBufferPointer>
  ) throws(Errno) -> Int {
    if !owns(descriptor) { return try unsafe kernel.send(descriptor, buffers) }
    return try withState { state throws(Errno) in
      let whole = unsafe buffers.flatMap { unsafe Array($0) }
      let socket = try socket(descriptor, state)
      return try send(whole, from: socket, &state)
    }
  }

  private func send(
    _ buffer: UnsafeRawBufferPointer, from socket: MemorySocket, _ state: inout State
  ) throws(Errno) -> Int { try send(unsafe Array(buffer), from: socket, &state) }

  private func send(_ bytes: [UInt8], from socket: MemorySocket, _ state: inout State) throws(Errno) -> Int {
    try socket.takeError()
    if socket.isWriteShut { throw .brokenPipe }
    guard socket.phase == .connected else { throw .socketNotConnected }
    guard let peer = socket.peer, peer.phase != .closed else {
      // The peer is gone, and says so when it hears of it.
      send(.lost(socket, .connectionReset), to: socket, &state)
      return bytes.count
    }
    if bytes.isEmpty { return 0 }
    let room = socket.room(options.capacity)
    if room == 0 { throw .resourceTemporarilyUnavailable }
    if options.resetsPerThousand > 0, state.generator.next() % 1_000 < UInt64(options.resetsPerThousand) {
      send(.lost(peer, .connectionReset), to: peer, &state)
      send(.lost(socket, .connectionReset), to: socket, &state)
      return min(room, bytes.count)
    }
    let part = Array(bytes.prefix(room))
    peer.inFlight += part.count
    send(.bytes(peer, part), to: peer, &state)
    return part.count
  }

  func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    if owns(descriptor) { return try unsafe receive(descriptor, into: buffer) }
    return try unsafe kernel.read(descriptor, into: buffer)
  }

  func write(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer) throws(Errno) -> Int {
    if owns(descriptor) { return try unsafe send(descriptor, buffer) }
    return try unsafe kernel.write(descriptor, buffer)
  }

  // MARK: Datagrams

  func receiveDatagram(
    _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) -> ReceivedDatagram {
    if !owns(descriptor) { return try unsafe kernel.receiveDatagram(descriptor, into: buffer) }
    return try withState { state throws(Errno) in
      let socket = try socket(descriptor, state)
      try socket.takeError()
      guard !socket.datagrams.isEmpty else { throw .resourceTemporarilyUnavailable }
      let (bytes, sender) = socket.datagrams.removeFirst()
      let count = min(bytes.count, buffer.count)
      unsafe bytes.withUnsafeBytes { bytes in
        unsafe buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
      }
      return ReceivedDatagram(count: count, isTruncated: count < bytes.count, sender: sender)
    }
  }

  func sendDatagram(
    _ descriptor: Int32, _ buffer: UnsafeRawBufferPointer, to address: SocketAddress?
  ) throws(Errno) {
    if !owns(descriptor) { return try unsafe kernel.sendDatagram(descriptor, buffer, to: address) }
    let bytes = unsafe Array(buffer)
    try withState { state throws(Errno) in
      let socket = try socket(descriptor, state)
      try socket.takeError()
      guard let address = address ?? socket.remote else { throw .socketNotConnected }
      try nameSender(socket, &state)
      if bytes.count > 65_507 { throw .messageTooLong }
      // Where nobody listens, a datagram is lost.
      guard let receiver = self.socket(at: address, for: socket, state) else { return }
      // One that is connected takes those of its peer alone.
      if let peer = receiver.remote, self.socket(at: peer, for: receiver, state) !== socket { return }
      let sender = receiver.remote ?? socket.local.map(socket.reachable)
      send(.datagram(receiver, bytes, from: sender), to: receiver, &state)
    }
  }

  // MARK: The end

  func close(_ descriptor: Int32) {
    if !owns(descriptor) { return kernel.close(descriptor) }
    changeState { state in
      guard let socket = state.sockets.removeValue(forKey: descriptor) else { return }
      end(socket, &state)
    }
  }

  private func end(_ socket: MemorySocket, _ state: inout State) {
    if let local = socket.local, state.bound[endpoint(local, socket)] === socket {
      state.bound[endpoint(local, socket)] = nil
    }
    if socket.phase == .connected || socket.phase == .connecting, let peer = socket.peer {
      // What was not read is lost, and the peer hears of that; or it is to hear of a reset; or it has answered a
      // connection that nobody wants any more.
      let isReset = socket.options[Self.key(SOL_SOCKET, SO_LINGER)] == 0
      if socket.available > 0 || isReset || socket.phase == .connecting {
        send(.lost(peer, .connectionReset), to: peer, &state)
      } else if !socket.isWriteShut {
        send(.end(peer), to: peer, &state)
      }
    }
    socket.phase = .closed
    socket.peer = nil
    for waiting in socket.backlog {
      if let peer = waiting.peer { send(.lost(peer, .connectionReset), to: peer, &state) }
      waiting.phase = .closed
      waiting.peer = nil
    }
    socket.backlog = []
  }
}
