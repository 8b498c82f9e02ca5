// SPDX-License-Identifier: Apache-2.0

import AsyncIO
import Glibc
import SystemPackage
import Testing

@Suite(.oneAtATime) struct NameLookupTests {
  @Test(arguments: [254, 255, 256, 257, 1_000, 1_000_000])
  func `DN-02: a name that is too long is an error, and none is shortened`(length: Int) {
    let error = #expect(throws: InvalidArgumentError.self) { try HostName(String(repeating: "a", count: length)) }
    #expect(error?.description.contains("\(length) bytes") == true)
  }

  @Test func `DN-02: the longest names are names`() throws {
    let longest = String(repeating: "a", count: 253)
    #expect(try HostName(longest).text == longest)
    #expect(try HostName(longest + ".").text == longest + ".")
    #expect(throws: InvalidArgumentError.self) { try HostName(longest + "..") }
  }

  @Test(arguments: ["", "a\0b", "\0", "a b", "a\n", "\u{7f}", "bücher.example", "a\u{200b}.example", "🙂"])
  func `DN-02, DN-03: what is empty, or has bytes that no name has, is an error`(text: String) {
    #expect(throws: InvalidArgumentError.self) { try HostName(text) }
  }

  @Test(arguments: ["xn--", "xn--a", "xn--\u{7e}\u{7e}", "xn--0.pt", "-", ".", "..", "a..b", "_srv._tcp", "%", "::g"])
  func `DN-03: broken names get an answer, and do no harm`(text: String) throws {
    let name = try HostName(text)
    do {
      _ = try SystemNameLookup().addresses(of: name, .ipv4)
    } catch {
      #expect(error.host == text)
    }
  }

  @Test func `localhost has addresses of the loopback interface, each once`() throws {
    let found = try SystemNameLookup().addresses(of: HostName("localhost"), nil)
    #expect(found.contains(try SocketAddress(host: "127.0.0.1", port: 0)))
    #expect(Set(found).count == found.count)
    #expect(try SystemNameLookup().addresses(of: HostName("localhost"), .ipv4).allSatisfy { $0.family == .ipv4 })
  }

  @Test(arguments: [
    (EAI_NONAME, NameLookupError.Reason.notFound), (-5, .noAddress), (-9, .noAddress), (EAI_FAMILY, .noAddress),
    (EAI_AGAIN, .temporary), (EAI_FAIL, .refused), (EAI_MEMORY, .shortage),
    (EAI_SYSTEM, .system(.tooManyOpenFiles)), (EAI_BADFLAGS, .other(EAI_BADFLAGS)),
  ])
  func `DN-07: each failure of the resolver has a reason of its own`(code: Int32, reason: NameLookupError.Reason) {
    let error = NameLookupError("a.example", code: code, errno: .tooManyOpenFiles)
    #expect(error.reason == reason)
    #expect(error.host == "a.example")
    #expect("\(error)".contains("a.example"))
  }
}
