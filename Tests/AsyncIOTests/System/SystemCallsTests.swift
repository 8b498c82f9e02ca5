// SPDX-License-Identifier: Apache-2.0
//
// What each call returns, and what it throws, on the running kernel.

import AsyncIO
import Glibc
import SystemPackage
import Testing

@Suite(.oneAtATime) struct SystemCallsTests {
  private let calls = LinuxSystemCalls()

  private func receive(_ descriptor: FileDescriptor, _ limit: Int = 16) throws -> String {
    var bytes = [UInt8](repeating: 0, count: limit)
    let count = unsafe try bytes.withUnsafeMutableBytes { buffer in
      unsafe try calls.receive(descriptor.rawValue, into: buffer)
    }
    return String(decoding: bytes[..<count], as: UTF8.self)
  }

  private func send(_ descriptor: FileDescriptor, _ bytes: [UInt8]) throws -> Int {
    unsafe try bytes.withUnsafeBytes { buffer in
      unsafe try calls.send(descriptor.rawValue, buffer)
    }
  }

  @Test func `receive gives what is there, then would block, then the end`() throws {
    let pair = try DescriptorPair.sockets()
    try pair.send("abcdef")
    #expect(try receive(pair.near, 4) == "abcd")
    #expect(try receive(pair.near, 4) == "ef")
    #expect(throws: Errno.wouldBlock) { try receive(pair.near) }
    try pair.closeFar()
    #expect(try receive(pair.near) == "")
    #expect(try receive(pair.near) == "")
  }

  @Test func `receive throws the number that the kernel gives`() throws {
    #expect(throws: Errno.badFileDescriptor) { try receive(FileDescriptor(rawValue: -1)) }
    let pipe = try DescriptorPair.pipe()
    #expect(throws: Errno.notSocket) { try receive(pipe.near) }
    let pair = try DescriptorPair.tcp()
    try pair.resetFar()
    #expect(throws: Errno.connectionReset) { try receive(pair.near) }
  }

  @Test func `send takes a part, then would block`() throws {
    let pair = try DescriptorPair.sockets()
    let block = [UInt8](repeating: 7, count: 10_000_000)
    let taken = try send(pair.near, block)
    #expect((1..<block.count).contains(taken))
    #expect(throws: Errno.wouldBlock) { try send(pair.near, block) }
    try pair.drainFar()
    #expect(try send(pair.near, [1, 2, 3]) == 3)
  }

  @Test func `send to a peer that is gone throws EPIPE, and SIGPIPE does not end the process`() throws {
    // The disposition of the process as Linux gives it: a SIGPIPE would end all tests here.
    let old = signal(SIGPIPE, nil)
    defer { signal(SIGPIPE, old) }
    let unix = try DescriptorPair.sockets()
    try unix.closeFar()
    #expect(throws: Errno.brokenPipe) { try send(unix.near, [1]) }
    #expect(throws: Errno.brokenPipe) { try send(unix.near, [1]) }
    let tcp = try DescriptorPair.tcp()
    try tcp.resetFar()
    // The reset itself is told first, once.
    #expect(throws: Errno.connectionReset) { try send(tcp.near, [1]) }
    #expect(throws: Errno.brokenPipe) { try send(tcp.near, [1]) }
  }

  @Test func `accept gives a non-blocking, close-on-exec socket, or would block`() throws {
    let listener = try DescriptorPair.listener()
    defer { try? listener.close() }
    _ = fcntl(listener.rawValue, F_SETFL, O_NONBLOCK)
    #expect(throws: Errno.wouldBlock) { try calls.accept(listener.rawValue) }
    let client = try DescriptorPair.client(of: listener)
    defer { try? client.close() }
    let accepted = FileDescriptor(rawValue: try calls.accept(listener.rawValue))
    defer { try? accepted.close() }
    #expect(fcntl(accepted.rawValue, F_GETFL) & O_NONBLOCK != 0)
    #expect(fcntl(accepted.rawValue, F_GETFD) & FD_CLOEXEC != 0)
    try client.writeAll("hello".utf8)
    #expect(try retryingWouldBlock { try receive(accepted) } == "hello")
    #expect(throws: Errno.wouldBlock) { try calls.accept(listener.rawValue) }
    #expect(throws: Errno.badFileDescriptor) { try calls.accept(-1) }
  }

  @Test func `an interrupted call is made again, and another failure is thrown`() throws {
    var answers: [Int32] = [EINTR, EINTR, EINTR, 0]
    var made = 0
    let result = try retrying {
      made += 1
      let answer = answers.removeFirst()
      errno = answer
      return answer == 0 ? 42 : -1
    }
    #expect(result == 42)
    #expect(made == 4)
    answers = [EINTR, EAGAIN, 0]
    #expect(throws: Errno.wouldBlock) {
      try retrying {
        errno = answers.removeFirst()
        return -1
      }
    }
    #expect(answers == [0])
  }

  @Test func `an error says which call failed, and why`() {
    let error = SystemError(.tooManyOpenFiles, in: "accept4")
    #expect(error.call == "accept4")
    #expect(error.errno == .tooManyOpenFiles)
    #expect("\(error)" == "accept4: Too many open files")
    #expect(error == SystemError(.tooManyOpenFiles, in: "accept4"))
    #expect(error != SystemError(.tooManyOpenFiles, in: "socket"))
  }

  private func retryingWouldBlock(_ body: () throws -> String) throws -> String {
    for _ in 0..<1_000 {
      do {
        return try body()
      } catch Errno.wouldBlock {
        usleep(1_000)
      }
    }
    return try body()
  }
}
