// SPDX-License-Identifier: Apache-2.0
//
// The seam between the sockets and the kernel: every call of theirs goes through here, so that a test can make
// one fail.

import CLinux
import Glibc
package import SystemPackage

/// The system calls of a loop's descriptors. All of them are non-blocking, and none of them raises `SIGPIPE`.
///
/// A call throws the `errno` that it left; the caller names the call when it makes a ``SystemError`` of it.
package protocol SystemCalls: Sendable {
  /// `recv(2)`: the number of bytes read, 0 at the end of the stream.
  func receive(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int

  /// `send(2)` with `MSG_NOSIGNAL`: the number of bytes taken.
  func send(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer) throws(Errno) -> Int

  /// `accept4(2)`: a non-blocking, close-on-exec socket.
  func accept(_ descriptor: Int32) throws(Errno) -> Int32
}

/// The calls of the running kernel. An interrupted call is repeated.
package struct LinuxSystemCalls: SystemCalls {
  package init() {}

  package func receive(
    _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) -> Int {
    // SAFETY: the buffer is the caller's for the length of the call, and the kernel writes no more than its count.
    try retrying { unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0) }
  }

  package func send(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer) throws(Errno) -> Int {
    // SAFETY: the buffer is the caller's for the length of the call, and the kernel reads no more than its count.
    try retrying {
      unsafe Glibc.send(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL))
    }
  }

  package func accept(_ descriptor: Int32) throws(Errno) -> Int32 {
    let flags = Int32(CLINUX_SOCK_NONBLOCK | CLINUX_SOCK_CLOEXEC)
    // SAFETY: accept4 takes null pointers for a peer address that nobody asked for.
    return Int32(try retrying { Int(accept4(descriptor, nil, nil, flags)) })
  }
}

extension Errno {
  /// The number that the last failed call of this thread left.
  package static var last: Errno { Errno(rawValue: Glibc.errno) }
}

/// Makes a call again for as long as a signal interrupts it.
package func retrying(_ call: () -> Int) throws(Errno) -> Int {
  while true {
    let result = call()
    if result >= 0 { return result }
    let errno = Errno.last
    if errno != .interrupted { throw errno }
  }
}
