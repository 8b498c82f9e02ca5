// SPDX-License-Identifier: Apache-2.0
//
// The seam between a loop's descriptors and the kernel: every call goes through here, so that a test can make one fail,
// or play the network.

package import SystemPackage

/// The system calls of a loop's descriptors. None of them blocks, and none of them raises `SIGPIPE`.
///
/// A call throws the `errno` that it left, `EAGAIN` where it would block; the caller names the call when it makes a
/// ``SystemError`` of it. An interrupted call has been repeated.
package protocol SystemCalls: Sendable {
  // MARK: Sockets

  /// `socket(2)`: a non-blocking, close-on-exec socket; of a family (`AF_INET`, …), and a type (`SOCK_STREAM`, …).
  func socket(_ family: Int32, _ type: Int32) throws(Errno) -> Int32

  /// `setsockopt(2)`, of an option that is an `int`; or of `SO_LINGER`, whose value is the seconds.
  func setOption(_ descriptor: Int32, _ level: Int32, _ option: Int32, to value: Int32) throws(Errno)

  /// `getsockopt(2)`, of an option that is an `int`. (`SO_ERROR` takes the error away.)
  func option(_ descriptor: Int32, _ level: Int32, _ option: Int32) throws(Errno) -> Int32

  /// Whether a Unix socket that is bound to a path makes a file there. Where it does not, no file is looked at or removed.
  var makesFiles: Bool { get }

  /// `bind(2)`.
  func bind(_ descriptor: Int32, to address: SocketAddress) throws(Errno)

  /// `listen(2)`.
  func listen(_ descriptor: Int32, backlog: Int32) throws(Errno)

  /// `connect(2)`: `EINPROGRESS` says that the socket becomes writable at the end.
  func connect(_ descriptor: Int32, to address: SocketAddress) throws(Errno)

  /// `accept4(2)`: a non-blocking, close-on-exec socket.
  func accept(_ descriptor: Int32) throws(Errno) -> Int32

  /// `getsockname(2)`.
  func localAddress(_ descriptor: Int32) throws(Errno) -> SocketAddress

  /// `getpeername(2)`.
  func peerAddress(_ descriptor: Int32) throws(Errno) -> SocketAddress

  /// `shutdown(2)`: `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR`.
  func shutdown(_ descriptor: Int32, _ how: Int32) throws(Errno)

  // MARK: Bytes

  /// `recv(2)`: the number of bytes read, 0 at the end of the stream.
  func receive(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int

  /// `send(2)`: the number of bytes taken.
  func send(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer) throws(Errno) -> Int

  /// `sendmsg(2)`: the number of bytes taken of several buffers, at most `IOV_MAX`.
  func send(_ descriptor: Int32, _ buffers: UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(Errno) -> Int

  /// `read(2)`, for what is no socket.
  func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int

  /// `write(2)`, for what is no socket.
  func write(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer) throws(Errno) -> Int

  // MARK: Datagrams

  /// `recvmsg(2)`: a datagram's bytes, as far as there is room, and whom it is from; an unnamed sender has no address.
  func receiveDatagram(
    _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) -> ReceivedDatagram

  /// `sendto(2)`; without an address, to the peer of a connected socket.
  func sendDatagram(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer, to address: SocketAddress?) throws(Errno)

  // MARK: The end

  /// `close(2)`: the number is free when this returns.
  func close(_ descriptor: Int32)
}

/// What is known of a datagram whose bytes stand in the caller's buffer.
package struct ReceivedDatagram: Sendable {
  package let count: Int
  /// Whether it was longer than the buffer, and its rest is lost.
  package let isTruncated: Bool
  package let sender: SocketAddress?

  package init(count: Int, isTruncated: Bool, sender: SocketAddress?) {
    self.count = count
    self.isTruncated = isTruncated
    self.sender = sender
  }
}

extension Errno {
  /// Whether a call would have to wait.
  package var isWouldBlock: Bool { self == .resourceTemporarilyUnavailable }
}
