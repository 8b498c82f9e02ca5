// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 15: UX-05. Descriptors are not passed here; those that a peer passes must not stay.

import Glibc
import SystemPackage
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct PassedDescriptorTests {
  /// Sends a byte with a descriptor beside it (`SCM_RIGHTS`).
  private func pass(_ passed: FileDescriptor, over socket: Int32, to address: SocketAddress? = nil) throws {
    // A control message: its length, level and kind, and the number; padded to the next word.
    var control: [UInt64] = [20, UInt64(SOL_SOCKET) | 1 << 32, UInt64(UInt32(bitPattern: passed.rawValue))]
    var byte: UInt8 = 0x78
    let sent = unsafe control.withUnsafeMutableBytes { control in
      unsafe withUnsafeMutableBytes(of: &byte) { byte in
        var vector = unsafe iovec(iov_base: byte.baseAddress, iov_len: 1)
        return unsafe withUnsafeMutablePointer(to: &vector) { vector in
          var message = unsafe msghdr()
          unsafe message.msg_iov = vector
          unsafe message.msg_iovlen = 1
          unsafe message.msg_control = control.baseAddress
          unsafe message.msg_controllen = control.count
          guard let address else { return unsafe sendmsg(socket, &message, 0) }
          return unsafe address.withSockaddr { name, length in
            unsafe message.msg_name = UnsafeMutableRawPointer(mutating: name)
            unsafe message.msg_namelen = length
            return unsafe sendmsg(socket, &message, 0)
          }
        }
      }
    }
    try #require(sent == 1)
  }

  /// Whether nobody has the writing end of a pipe any more.
  private func isAbandoned(_ pipe: DescriptorPair) -> Bool { (try? DescriptorPair.read(pipe.near)) == "" }

  @Test func `UX-05: a descriptor that comes beside the bytes of a stream is closed, and the bytes come`() throws {
    try withConnection { _, connection, pair in
      let before = ProcessFacts.descriptors.count
      for _ in 0..<50 {
        let pipe = try DescriptorPair.pipe()
        try pass(pipe.far, over: pair.far.rawValue)
        try pipe.closeFar()
        #expect(!isAbandoned(pipe))
        let byte = try await connection.reader.read(upTo: 10)
        #expect(byte == [0x78])
        #expect(isAbandoned(pipe))
      }
      #expect(ProcessFacts.descriptors.count == before)
    }
  }

  @Test func `UX-05: one that is on its way when the connection ends is closed, too`() throws {
    try withConnection { _, connection, pair in
      let pipe = try DescriptorPair.pipe()
      try pass(pipe.far, over: pair.far.rawValue)
      try pipe.closeFar()
      connection.close()
      try await settle { isAbandoned(pipe) }
    }
  }

  @Test func `UX-05: a descriptor that comes with a datagram is closed, and the datagram comes`() throws {
    try EventLoop.run { loop in
      let name = try SocketAddress(abstractName: "asyncio-passed-\(getpid())")
      let near = try openDatagramEndpoint(local: name)
      let far = try OwnedSocket.open(.unix, Int32(SOCK_DGRAM.rawValue), calls: LinuxSystemCalls())
      let before = ProcessFacts.descriptors.count
      for _ in 0..<50 {
        let pipe = try DescriptorPair.pipe()
        try pass(pipe.far, over: far.rawValue, to: name)
        try pipe.closeFar()
        let datagram = try await near.receive()
        #expect(datagram == Datagram(bytes: [0x78], sender: nil))
        #expect(isAbandoned(pipe))
      }
      #expect(ProcessFacts.descriptors.count == before)
      near.close()
    }
  }
}
