// SPDX-License-Identifier: Apache-2.0
//
// What libFuzzer calls: what is taken for an address is written so that it reads back as the same one, fits into what the
// kernel takes, and says no more than was given.

/// libFuzzer calls it by this name, with each input: a text.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let text = String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
  if let address = try? SocketAddress(parsing: text) {
    check(address)
    precondition((try? SocketAddress(parsing: address.description)) == address, "\(address.description) reads back")
    precondition(address.family != .unix || address.description == text, "\(text) became \(address.description)")
  }
  if let address = try? SocketAddress(host: text, port: count) {
    check(address)
    precondition(address.family != .unix && address.port == count, "\(text): \(address)")
  }
  if let address = try? SocketAddress(unixPath: text) {
    check(address)
    precondition(address.unixPath == text && address.abstractName == nil, "path \(text)")
  }
  if let address = try? SocketAddress(abstractName: text) {
    check(address)
    precondition(address.abstractName == text && address.unixPath == nil, "name \(text)")
  }
  return 0
}

private func check(_ address: SocketAddress) {
  precondition(address.bytes.count >= 2 && address.bytes.count <= 128, "\(address.bytes.count) bytes")
  precondition((0...65_535).contains(address.port), "port \(address.port)")
  precondition(address.with(port: 0).with(port: address.port) == address, "the port is taken out and put back")
  if let host = address.host {
    precondition((try? SocketAddress(host: host, port: address.port)) == address, "host \(host)")
  }
}
