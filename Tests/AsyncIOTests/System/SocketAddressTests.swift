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
    #expect(address.unixPath == nil && address.abstractName == nil)
  }

  @Test(arguments: [
    "", " ", "example.org", "LOCALHOST", "127.0.0", "127.0.0.256", "127.0.0.1 ", "127.0.0.1\0",
    "127.0.0.1%lo", "[::1]", "::1%", "::1%no-such", "::1%+1", "::1%-0", "::1%4294967296", "::1%0", "::1%lo\0", "1:2:3",
    "%lo", "%",
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

  @Test func `an address of IP has a family, a host, a port and a scope`() throws {
    let four = try SocketAddress(host: "10.1.2.3", port: 443)
    #expect(four.family == .ipv4 && four.host == "10.1.2.3" && four.port == 443 && four.scope == 0)
    let six = try SocketAddress(host: "fe80::1%lo", port: 1)
    #expect(six.family == .ipv6 && six.host == "fe80::1%lo" && six.port == 1 && six.scope == 1)
    #expect("\(four.with(port: 80))" == "10.1.2.3:80")
    #expect("\(six.with(port: 65_535))" == "[fe80::1%lo]:65535")
  }

  @Test func `addresses are equal when the kernel takes them for the same`() throws {
    let addresses = try [
      SocketAddress(host: "127.0.0.1", port: 1), SocketAddress(host: "127.0.0.1", port: 2),
      SocketAddress(host: "127.0.0.2", port: 1), SocketAddress(host: "::1", port: 1),
      SocketAddress(host: "fe80::1%1", port: 1), SocketAddress(host: "fe80::1", port: 1),
      SocketAddress(unixPath: "/tmp/a"), SocketAddress(unixPath: "/tmp/ab"), SocketAddress(abstractName: "/tmp/a"),
    ]
    #expect(Set(addresses).count == addresses.count)
    #expect(try SocketAddress(host: "::0001", port: 1) == SocketAddress(host: "::1", port: 1))
    #expect(try SocketAddress(unixPath: "/tmp/a") == addresses[6])
  }

  @Test func `UX-01: a path and an abstract name are what was given`() throws {
    let path = try SocketAddress(unixPath: "/tmp/ä.sock")
    #expect(path.family == .unix && path.unixPath == "/tmp/ä.sock" && path.abstractName == nil)
    #expect(path.host == nil && path.port == 0 && path.scope == 0)
    #expect("\(path)" == "/tmp/ä.sock")
    let name = try SocketAddress(abstractName: "a\0b")
    #expect(name.family == .unix && name.abstractName == "a\0b" && name.unixPath == nil)
    #expect("\(name)" == "@a\0b")
    #expect(path.with(port: 7) == path)
  }

  @Test func `UX-02: a path or name that is too long is an error, and none is shortened`() throws {
    let longest = String(repeating: "x", count: SocketAddress.longestUnixPath)
    #expect(try SocketAddress(unixPath: longest).unixPath == longest)
    #expect(try SocketAddress(abstractName: longest).abstractName == longest)
    for text in [longest + "x", String(repeating: "ä", count: 54), String(repeating: "x", count: 100_000)] {
      let error = #expect(throws: InvalidArgumentError.self) { try SocketAddress(unixPath: text) }
      #expect(error?.description.contains("\(text.utf8.count) bytes") == true)
      #expect(throws: InvalidArgumentError.self) { try SocketAddress(abstractName: text) }
    }
  }

  @Test(arguments: ["", "a\0b", "\0"])
  func `what is no path is refused`(path: String) {
    #expect(throws: InvalidArgumentError.self) { try SocketAddress(unixPath: path) }
  }

  @Test func `an abstract name has a byte at least`() {
    #expect(throws: InvalidArgumentError.self) { try SocketAddress(abstractName: "") }
  }

  @Test(arguments: [
    "127.0.0.1:7000", "0.0.0.0:0", "[::1]:80", "[fe80::1%lo]:65535", "/run/a.sock", "./a:80", "../x", "@name", "@ö",
    "@@", "@a:1",
  ])
  func `a line that is an address reads back`(text: String) throws {
    #expect("\(try SocketAddress(parsing: text))" == text)
  }

  @Test(arguments: [
    "", ":", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:+80", "127.0.0.1:-1", "127.0.0.1:65536", "127.0.0.1: 80",
    "127.0.0.1:８０", "[127.0.0.1]:80", "::1:80", "[::1]", "[::1]80", "[::1:80", "::1]:80", "[]:80", "[:80",
    "localhost:80", "example.org:80", "@", "/a\0b", "127.0.0.1\0:80", "127.0.0.1:80\0", "\u{0301}@a",
  ])
  func `a line that is none is refused`(text: String) {
    #expect(throws: InvalidArgumentError.self) { try SocketAddress(parsing: text) }
  }
}
