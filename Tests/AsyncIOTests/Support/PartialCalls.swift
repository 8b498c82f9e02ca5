// SPDX-License-Identifier: Apache-2.0
//
// System calls of which a test says some, and the kernel the others.

import AsyncIO
import SystemPackage

/// Calls that go to the running kernel, as far as a test does not answer them itself.
protocol PartialCalls: SystemCalls {}

extension PartialCalls {
  private var kernel: LinuxSystemCalls { LinuxSystemCalls() }

  func socket(_ family: Int32, _ type: Int32) throws(Errno) -> Int32 { try kernel.socket(family, type) }
  func setOption(_ descriptor: Int32, _ level: Int32, _ option: Int32, to value: Int32) throws(Errno) {
    try kernel.setOption(descriptor, level, option, to: value)
  }
  func option(_ descriptor: Int32, _ level: Int32, _ option: Int32) throws(Errno) -> Int32 {
    try kernel.option(descriptor, level, option)
  }
  var makesFiles: Bool { kernel.makesFiles }
  func bind(_ descriptor: Int32, to address: SocketAddress) throws(Errno) {
    try kernel.bind(descriptor, to: address)
  }
  func listen(_ descriptor: Int32, backlog: Int32) throws(Errno) {
    try kernel.listen(descriptor, backlog: backlog)
  }
  func connect(_ descriptor: Int32, to address: SocketAddress) throws(Errno) {
    try kernel.connect(descriptor, to: address)
  }
  func accept(_ descriptor: Int32) throws(Errno) -> Int32 { try kernel.accept(descriptor) }
  func localAddress(_ descriptor: Int32) throws(Errno) -> SocketAddress { try kernel.localAddress(descriptor) }
  func peerAddress(_ descriptor: Int32) throws(Errno) -> SocketAddress { try kernel.peerAddress(descriptor) }
  func shutdown(_ descriptor: Int32, _ how: Int32) throws(Errno) { try kernel.shutdown(descriptor, how) }
  func receive(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    try unsafe kernel.receive(descriptor, into: buffer)
  }
  func send(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer) throws(Errno) -> Int {
    try unsafe kernel.send(descriptor, buffer)
  }
  func send(
    _ descriptor: Int32, _ buffers: UnsafeBufferPointer<UnsafeRawBufferPointer>
  ) throws(Errno) -> Int { try unsafe kernel.send(descriptor, buffers) }
  func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    try unsafe kernel.read(descriptor, into: buffer)
  }
  func write(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer) throws(Errno) -> Int {
    try unsafe kernel.write(descriptor, buffer)
  }
  func receiveDatagram(
    _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) -> ReceivedDatagram { try unsafe kernel.receiveDatagram(descriptor, into: buffer) }
  func sendDatagram(
    _ descriptor: Int32, _ buffer: UnsafeRawBufferPointer, to address: SocketAddress?
  ) throws(Errno) { try unsafe kernel.sendDatagram(descriptor, buffer, to: address) }
  func close(_ descriptor: Int32) { kernel.close(descriptor) }
}
