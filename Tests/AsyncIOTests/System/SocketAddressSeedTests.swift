// SPDX-License-Identifier: Apache-2.0
//
// What the fuzzer of the address parser starts from, and what it has found, as tests.

import Foundation
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct SocketAddressSeedTests {
  private static let folder = URL(filePath: #filePath).appending(path: "../../../../.ci/fuzz/seeds/address")
    .standardizedFileURL

  @Test func `each seed that is an address reads back as the same, and says what was given`() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).sorted()
    try #require(names.count >= 20)
    var addresses: [String] = []
    for name in names {
      let bytes = Array(try Data(contentsOf: Self.folder.appending(path: name)))
      let text = String(decoding: bytes, as: UTF8.self)
      if let address = try? SocketAddress(parsing: text) {
        addresses.append(name)
        #expect(try SocketAddress(parsing: address.description) == address, "\(name)")
        #expect(address.family != .unix || address.description == text, "\(name)")
      }
      if let address = try? SocketAddress(host: text, port: 7) { #expect(address.port == 7 && address.host != nil) }
      if let address = try? SocketAddress(unixPath: text) { #expect(address.unixPath == text, "\(name)") }
      if let address = try? SocketAddress(abstractName: text) { #expect(address.abstractName == text, "\(name)") }
    }
    #expect(
      addresses == [
        "abstract", "abstract-combining", "abstract-longest", "abstract-zeros", "ipv4", "ipv4-any", "ipv6",
        "ipv6-mapped", "ipv6-scope-name", "ipv6-scope-number", "not-utf8", "path", "path-longest", "path-relative",
      ])
  }
}
