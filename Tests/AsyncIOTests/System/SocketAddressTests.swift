// SPDX-License-Identifier: Apache-2.0

import AsyncIO
import Testing

@Suite(.oneAtATime) struct SocketAddressTests {
  @Test(arguments: [
    ("127.0.0.1", 7000, "127.0.0.1:7000"), ("0.0.0.0", 0, "0.0.0.0:0"),
    ("localhost", 65535, "127.0.0.1:65535"),
    ("::1", 80, "[::1]:80"), ("::", 1, "[::]:1"), ("2001:DB8::0:1", 2, "[2001:db8::1]:2"),
    ("fe80::1%lo", 3, "[fe80::1%lo]:3"), ("fe80::1%1", 4, "[fe80::1%lo]:4"),
  ])
  func `a literal address reads back in its short form`(host: String, port: Int, text: String) throws {
    let address = try SocketAddress(host: host, port: port)
    #expect("\(address)" == text)
    #expect(address.port == port)
  }

  @Test(arguments: [
    "", " ", "example.org", "LOCALHOST", "127.0.0", "127.0.0.256", "127.0.0.1 ", "127.0.0.1\0",
    "127.0.0.1%lo", "[::1]", "::1%", "::1%no-such", "::1%lo\0", "1:2:3", "%lo", "%",
  ])
  func `what is no literal address is refused, by a text that quotes it`(host: String) {
    let error = #expect(throws: InvalidArgumentError.self) { try SocketAddress(host: host, port: 1) }
    #expect(error?.description.contains(host.debugDescription) == true)
  }

  @Test(arguments: [-1, 65536, .min, .max])
  func `a port beyond sixteen bits is refused`(port: Int) {
    let error = #expect(throws: InvalidArgumentError.self) { try SocketAddress(host: "::1", port: port) }
    #expect(error?.description.contains("\(port)") == true)
  }
}
