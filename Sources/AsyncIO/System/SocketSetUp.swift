// SPDX-License-Identifier: Apache-2.0
//
// What is done to a socket before it is used: opening, options, binding, connecting.

import Glibc
package import SystemPackage

extension OwnedSocket {
  /// Opens a socket of an address's family.
  ///
  /// - Parameter type: `SOCK_STREAM` or `SOCK_DGRAM`.
  package static func open(
    _ family: SocketAddress.Family, _ type: Int32, calls: any SystemCalls
  ) throws(SystemError) -> OwnedSocket {
    let raw = try naming("socket") { () throws(Errno) in try calls.socket(family.rawValue, type) }
    return OwnedSocket(owning: raw, calls: calls)
  }

  /// Sets an option that is a number.
  package func setOption(_ option: Int32, of level: Int32, to value: Int32 = 1) throws(SystemError) {
    try naming("setsockopt") { () throws(Errno) in try calls.setOption(rawValue, level, option, to: value) }
  }

  /// Reads an option that is a number.
  package func option(_ option: Int32, of level: Int32) throws(SystemError) -> Int32 {
    try naming("getsockopt") { () throws(Errno) in try calls.option(rawValue, level, option) }
  }

  /// Gives it an address of its own.
  package func bind(to address: SocketAddress) throws(SystemError) {
    try naming("bind") { () throws(Errno) in try calls.bind(rawValue, to: address) }
  }

  /// Begins to connect it.
  ///
  /// - Returns: Whether it is connected; else it becomes writable at the end, and ``pendingError()`` tells how that was.
  package func connect(to address: SocketAddress) throws(SystemError) -> Bool {
    do throws(Errno) {
      try calls.connect(rawValue, to: address)
      return true
    } catch {
      if error == .nowInProgress { return false }
      throw SystemError(error, in: "connect")
    }
  }

  /// The error that waits on the socket, which is taken away with this; `nil` when there is none.
  package func pendingError() throws(SystemError) -> Errno? {
    let number = try option(SO_ERROR, of: SOL_SOCKET)
    return number == 0 ? nil : Errno(rawValue: number)
  }

  /// What `SOCK_STREAM`, `SOCK_DGRAM`, … it is.
  package var type: Int32 {
    get throws(SystemError) { try option(SO_TYPE, of: SOL_SOCKET) }
  }

  /// Where it is.
  package var localAddress: SocketAddress {
    get throws(SystemError) { try naming("getsockname") { () throws(Errno) in try calls.localAddress(rawValue) } }
  }

  /// Sets what each connection over TCP has. What a listener has, the sockets that it accepts have from their birth.
  package func setUpTCP(noDelay: Bool, keepAlive: KeepAlive?) throws(SystemError) {
    let tcp = Int32(IPPROTO_TCP)
    if noDelay { try setOption(TCP_NODELAY, of: tcp) }
    guard let keepAlive else { return }
    try setOption(SO_KEEPALIVE, of: SOL_SOCKET)
    try setOption(TCP_KEEPIDLE, of: tcp, to: keepAlive.idle.wholeSeconds)
    try setOption(TCP_KEEPINTVL, of: tcp, to: keepAlive.interval.wholeSeconds)
    try setOption(TCP_KEEPCNT, of: tcp, to: Int32(clamping: keepAlive.count))
  }
}

/// When the kernel asks a silent peer whether it is there still (`SO_KEEPALIVE`).
public struct KeepAlive: Hashable, Sendable {
  /// The silence before the first question: whole seconds, rounded up, 1 to 32767.
  public var idle: Duration

  /// The time between questions: whole seconds, rounded up, 1 to 32767.
  public var interval: Duration

  /// After so many questions without an answer the connection is lost: 1 to 127.
  public var count: Int

  /// Questions after a minute of silence, every 15 seconds, four of them.
  public init(idle: Duration = .seconds(60), interval: Duration = .seconds(15), count: Int = 4) {
    self.idle = idle
    self.interval = interval
    self.count = count
  }
}

extension Duration {
  fileprivate var wholeSeconds: Int32 {
    Int32(clamping: components.seconds + (components.attoseconds > 0 ? 1 : 0))
  }
}
