// SPDX-License-Identifier: Apache-2.0
//
// System calls with a script before them.

import AsyncIO
import SystemPackage

// SAFETY, for all of this file: a buffer is the caller's for the length of the call, and is handed on as it is, or a
// part of it.

/// Calls that the script lets through, to the kernel or to a network in memory.
struct ScriptedCalls: SystemCalls {
  let base: any SystemCalls
  let kernel: ScriptedKernel

  func socket(_ family: Int32, _ type: Int32) throws(Errno) -> Int32 {
    try kernel.check(.socket)
    return try base.socket(family, type)
  }

  func setOption(_ descriptor: Int32, _ level: Int32, _ option: Int32, to value: Int32) throws(Errno) {
    try kernel.check(.setOption)
    try base.setOption(descriptor, level, option, to: value)
  }

  func option(_ descriptor: Int32, _ level: Int32, _ option: Int32) throws(Errno) -> Int32 {
    try kernel.check(.option)
    return try base.option(descriptor, level, option)
  }

  var makesFiles: Bool { base.makesFiles }

  func bind(_ descriptor: Int32, to address: SocketAddress) throws(Errno) {
    try kernel.check(.bind)
    try base.bind(descriptor, to: address)
  }

  func listen(_ descriptor: Int32, backlog: Int32) throws(Errno) {
    try kernel.check(.listen)
    try base.listen(descriptor, backlog: backlog)
  }

  func connect(_ descriptor: Int32, to address: SocketAddress) throws(Errno) {
    let wasInterrupted = try kernel.check(.connect)
    try base.connect(descriptor, to: address)
    // As with the real one: an interrupted connect goes on by itself, and is not called again.
    if wasInterrupted { throw .nowInProgress }
  }

  func accept(_ descriptor: Int32) throws(Errno) -> Int32 {
    try kernel.check(.accept, mayBlock: true)
    return try base.accept(descriptor)
  }

  func localAddress(_ descriptor: Int32) throws(Errno) -> SocketAddress {
    try kernel.check(.localAddress)
    return try base.localAddress(descriptor)
  }

  func peerAddress(_ descriptor: Int32) throws(Errno) -> SocketAddress {
    try kernel.check(.peerAddress)
    return try base.peerAddress(descriptor)
  }

  func shutdown(_ descriptor: Int32, _ how: Int32) throws(Errno) {
    try kernel.check(.shutdown)
    try base.shutdown(descriptor, how)
  }

  func receive(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    try kernel.check(.receive, mayBlock: true)
    return try unsafe base.receive(descriptor, into: portion(of: buffer))
  }

  func send(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer) throws(Errno) -> Int {
    try kernel.check(.send, mayBlock: true)
    return try unsafe base.send(descriptor, portion(of: buffer))
  }

  func send(
    _ descriptor: Int32, _ buffers: UnsafeBufferPointer<UnsafeRawBufferPointer>
  ) throws(Errno) -> Int {
    try kernel.check(.send, mayBlock: true)
    let whole = unsafe buffers.reduce(0) { $0 + $1.count }
    var left = kernel.portion(of: whole)
    if left == whole { return try unsafe base.send(descriptor, buffers) }
    var parts: [UnsafeRawBufferPointer] = unsafe []
    for index in 0..<buffers.count where left > 0 {
      let buffer = unsafe buffers[index]
      let count = min(left, buffer.count)
      unsafe parts.append(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      left -= count
    }
    do {
      return try unsafe parts.withUnsafeBufferPointer { parts in
        try unsafe base.send(descriptor, parts)
      }
    } catch let error as Errno {
      throw error
    } catch {
      throw .ioError
    }
  }

  func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    try kernel.check(.read, mayBlock: true)
    return try unsafe base.read(descriptor, into: portion(of: buffer))
  }

  func write(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer) throws(Errno) -> Int {
    try kernel.check(.write, mayBlock: true)
    return try unsafe base.write(descriptor, portion(of: buffer))
  }

  func receiveDatagram(
    _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) -> ReceivedDatagram {
    try kernel.check(.receiveDatagram, mayBlock: true)
    return try unsafe base.receiveDatagram(descriptor, into: buffer)
  }

  func sendDatagram(
    _ descriptor: Int32, _ buffer: UnsafeRawBufferPointer, to address: SocketAddress?
  ) throws(Errno) {
    try kernel.check(.sendDatagram, mayBlock: true)
    try unsafe base.sendDatagram(descriptor, buffer, to: address)
  }

  func close(_ descriptor: Int32) { base.close(descriptor) }

  private func portion(of buffer: UnsafeMutableRawBufferPointer) -> UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<kernel.portion(of: buffer.count)])
  }

  private func portion(of buffer: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(rebasing: buffer[..<kernel.portion(of: buffer.count)])
  }
}
