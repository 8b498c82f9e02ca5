// SPDX-License-Identifier: Apache-2.0
//
// A socket of the network in memory: what has arrived, and in which state it is.

import AsyncIO
import Glibc
import SystemPackage

/// One end of a connection, a listener, or a socket of datagrams.
///
/// Invariant: `peer` is the other end for as long as this one is open; `inFlight` are the bytes that were sent here and
/// have not arrived. It is touched under the network's lock only.
final class MemorySocket {
  enum Phase { case fresh, listening, connecting, connected, closed }

  let family: Int32
  let type: Int32
  var phase = Phase.fresh
  var options: [UInt64: Int32] = [:]
  var local: SocketAddress?
  var remote: SocketAddress?

  // A listener.
  var backlog: [MemorySocket] = []
  var backlogLimit = 0

  // A connection.
  var peer: MemorySocket?
  private var arrived: [UInt8] = []
  private var readCount = 0
  var inFlight = 0
  /// Whether the peer will send no more, and all that it sent has arrived.
  var hasEnded = false
  var isReadShut = false
  var isWriteShut = false
  var error: Errno?
  /// What was sent later arrives later.
  var lastArrival = Deadline(nanoseconds: 0)

  // Datagrams.
  var datagrams: [(bytes: [UInt8], sender: SocketAddress?)] = []

  init(family: Int32, type: Int32) {
    self.family = family
    self.type = type
  }

  /// The host that it talks from, unless it is bound to another.
  var loopbackHost: String { family == AF_INET6 ? "::1" : "127.0.0.1" }

  /// An address to talk to, or from: one of all addresses, where it is said to be all of them.
  func reachable(_ address: SocketAddress) -> SocketAddress {
    guard address.host == "0.0.0.0" || address.host == "::" else { return address }
    return (try? SocketAddress(host: loopbackHost, port: address.port)) ?? address
  }

  /// What the kernel says when it is asked for an address of it: of a Unix socket without a name, that it is unnamed.
  func told(_ address: SocketAddress?) throws(Errno) -> SocketAddress {
    if let address { return address }
    guard family == AF_UNIX else { throw .invalidArgument }
    return .unnamed
  }

  var isStream: Bool { type & 0xf == Int32(SOCK_STREAM.rawValue) }

  /// The bytes that can be read.
  var available: Int { arrived.count - readCount }

  var isReadable: Bool {
    available > 0 || hasEnded || isReadShut || error != nil || !backlog.isEmpty || !datagrams.isEmpty
  }

  func isWritable(_ capacity: Int) -> Bool {
    guard isStream else { return true }
    return error != nil || phase == .connected && (isWriteShut || room(capacity) > 0)
  }

  /// How many bytes may be sent.
  func room(_ capacity: Int) -> Int {
    guard let peer, peer.phase != .closed else { return capacity }
    return max(0, capacity - peer.available - peer.inFlight)
  }

  func arrive(_ bytes: [UInt8]) {
    inFlight -= bytes.count
    arrived += bytes
  }

  /// Takes bytes from the front.
  func take(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(buffer.count, available)
    unsafe arrived.withUnsafeBytes { bytes in
      // SAFETY: `count` bytes are there in both.
      unsafe buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[readCount..<readCount + count]))
    }
    readCount += count
    if readCount == arrived.count {
      arrived.removeAll(keepingCapacity: true)
      readCount = 0
    } else if readCount > 65_536 {
      arrived.removeFirst(readCount)
      readCount = 0
    }
    return count
  }

  /// The error that is due, which is told once.
  func takeError() throws(Errno) {
    if let error = error.take() { throw error }
  }
}
