// SPDX-License-Identifier: Apache-2.0
//
// The system calls as the running kernel answers them.

import CLinux
import Glibc
import SwiftOverlayShims
package import SystemPackage

// SAFETY, for all of this file: a buffer or an address is the caller's for the length of the call, the kernel reads and
// writes no more than the count that goes with it, and keeps no pointer.

/// The calls of the running kernel. An interrupted call is repeated.
package struct LinuxSystemCalls: SystemCalls {
  package init() {}

  /// Of each socket from its birth.
  private static let ownFlags = Int32(CLINUX_SOCK_NONBLOCK | CLINUX_SOCK_CLOEXEC)

  // MARK: Sockets

  package func socket(_ family: Int32, _ type: Int32) throws(Errno) -> Int32 {
    try retrying { Glibc.socket(family, type | Self.ownFlags, 0) }
  }

  package func setOption(
    _ descriptor: Int32, _ level: Int32, _ option: Int32, to value: Int32
  ) throws(Errno) {
    if level == SOL_SOCKET && option == SO_LINGER {
      var value = linger(l_onoff: 1, l_linger: value)
      _ = try retrying { unsafe setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<linger>.size)) }
      return
    }
    var value = value
    _ = try retrying { unsafe setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) }
  }

  package func option(_ descriptor: Int32, _ level: Int32, _ option: Int32) throws(Errno) -> Int32 {
    var value: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    _ = try retrying { unsafe getsockopt(descriptor, level, option, &value, &length) }
    return value
  }

  package var makesFiles: Bool { true }

  package func bind(_ descriptor: Int32, to address: SocketAddress) throws(Errno) {
    _ = try retrying { unsafe address.withSockaddr { unsafe Glibc.bind(descriptor, $0, $1) } }
  }

  package func listen(_ descriptor: Int32, backlog: Int32) throws(Errno) {
    _ = try retrying { Glibc.listen(descriptor, backlog) }
  }

  package func connect(_ descriptor: Int32, to address: SocketAddress) throws(Errno) {
    // Not repeated: an interrupted connect goes on by itself.
    if unsafe address.withSockaddr({ unsafe Glibc.connect(descriptor, $0, $1) }) == 0 { return }
    let errno = Errno.last
    throw errno == .interrupted ? .nowInProgress : errno
  }

  package func accept(_ descriptor: Int32) throws(Errno) -> Int32 {
    // accept4 takes null pointers for a peer address that nobody asked for.
    try retrying { accept4(descriptor, nil, nil, Self.ownFlags) }
  }

  package func localAddress(_ descriptor: Int32) throws(Errno) -> SocketAddress {
    try unsafe SocketAddress { unsafe getsockname(descriptor, $0, $1) }
  }

  package func peerAddress(_ descriptor: Int32) throws(Errno) -> SocketAddress {
    try unsafe SocketAddress { unsafe getpeername(descriptor, $0, $1) }
  }

  package func shutdown(_ descriptor: Int32, _ how: Int32) throws(Errno) {
    _ = try retrying { Glibc.shutdown(descriptor, how) }
  }

  // MARK: Bytes

  package func receive(
    _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) -> Int {
    try retrying { unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0) }
  }

  package func send(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer) throws(Errno) -> Int {
    try retrying {
      unsafe Glibc.send(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL))
    }
  }

  package func send(
    _ descriptor: Int32, _ buffers: UnsafeBufferPointer<UnsafeRawBufferPointer>
  ) throws(Errno) -> Int {
    try unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: buffers.count) {
      (vectors) throws(Errno) in
      for unsafe(index, buffer) in unsafe buffers.enumerated() {
        let base = unsafe UnsafeMutableRawPointer(mutating: buffer.baseAddress)
        unsafe vectors.initializeElement(at: index, to: iovec(iov_base: base, iov_len: buffer.count))
      }
      var message = unsafe msghdr()
      unsafe message.msg_iov = vectors.baseAddress
      unsafe message.msg_iovlen = buffers.count
      return try retrying { unsafe sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL)) }
    }
  }

  package func read(
    _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) -> Int {
    try retrying { unsafe Glibc.read(descriptor, buffer.baseAddress, buffer.count) }
  }

  package func write(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer) throws(Errno) -> Int {
    try BrokenPipeSignal.withheld { () throws(Errno) in
      try retrying { unsafe Glibc.write(descriptor, buffer.baseAddress, buffer.count) }
    }
  }

  // MARK: Datagrams

  package func receiveDatagram(
    _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) -> ReceivedDatagram {
    var vector = unsafe iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
    var count = 0
    var flags: Int32 = 0
    let sender = try unsafe SocketAddress { address, length in
      unsafe withUnsafeMutablePointer(to: &vector) { vector in
        var message = unsafe msghdr()
        unsafe message.msg_name = UnsafeMutableRawPointer(address)
        unsafe message.msg_namelen = length.pointee
        unsafe message.msg_iov = vector
        unsafe message.msg_iovlen = 1
        count = unsafe recvmsg(descriptor, &message, 0)
        unsafe length.pointee = message.msg_namelen
        flags = unsafe message.msg_flags
        return count < 0 ? -1 : 0
      }
    }
    let isTruncated = flags & Int32(MSG_TRUNC) != 0
    return ReceivedDatagram(count: count, isTruncated: isTruncated, sender: sender.isUnnamed ? nil : sender)
  }

  package func sendDatagram(
    _ descriptor: Int32, _ buffer: UnsafeRawBufferPointer, to address: SocketAddress?
  ) throws(Errno) {
    let flags = Int32(MSG_NOSIGNAL)
    _ = try retrying {
      guard let address else { return unsafe Glibc.send(descriptor, buffer.baseAddress, buffer.count, flags) }
      return unsafe address.withSockaddr {
        unsafe sendto(descriptor, buffer.baseAddress, buffer.count, flags, $0, $1)
      }
    }
  }

  // MARK: The end

  package func close(_ descriptor: Int32) {
    // `close` may say EINTR; on Linux the number is free all the same, so there is nothing to repeat.
    _ = Glibc.close(descriptor)
  }
}

/// The signal that ends a process which writes to a pipe without a reader.
private enum BrokenPipeSignal {
  /// Calls back with the signal held back from this thread. One that the call raises is taken away; one that somebody
  /// else sent stays.
  static func withheld<Result>(_ body: () throws(Errno) -> Result) throws(Errno) -> Result {
    var pipe = sigset_t()
    var old = sigset_t()
    var pending = sigset_t()
    unsafe sigemptyset(&pipe)
    unsafe sigaddset(&pipe, SIGPIPE)
    unsafe pthread_sigmask(SIG_BLOCK, &pipe, &old)
    defer { unsafe pthread_sigmask(SIG_SETMASK, &old, nil) }
    do throws(Errno) {
      return try body()
    } catch {
      guard error == .brokenPipe else { throw error }
      var now = timespec()
      // It was raised for this thread, synchronously: so it is pending here, if the process does not ignore it.
      unsafe sigpending(&pending)
      if unsafe sigismember(&pending, SIGPIPE) == 1 { unsafe sigtimedwait(&pipe, nil, &now) }
      throw error
    }
  }
}

extension Errno {
  /// The number that the last failed call of this thread left.
  package static var last: Errno { Errno(rawValue: Glibc.errno) }
}

/// Makes a call again for as long as a signal interrupts it.
package func retrying<Number: SignedInteger>(_ call: () -> Number) throws(Errno) -> Number {
  while true {
    let result = call()
    if result >= 0 { return result }
    let errno = Errno.last
    if errno != .interrupted { throw errno }
  }
}
