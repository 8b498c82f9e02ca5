// SPDX-License-Identifier: Apache-2.0
//
// Contract, section 14: SV-18, servers on a machine without IPv6.

import AsyncIO
import Glibc
import SystemPackage
import Testing

@Suite(.oneAtATime) struct MissingFamilyTests {
  private func configuration(_ calls: any SystemCalls) -> EventLoop.Configuration {
    var configuration = EventLoop.Configuration()
    configuration.seams.systemCalls = calls
    configuration.seams.nameLookup = ScriptedLookup()
    return configuration
  }

  @Test(arguments: [WithoutIPv6(.sockets), WithoutIPv6(.addresses)])
  func `SV-18: addresses of IPv6 are left out where it is off, as long as one remains`(calls: WithoutIPv6) throws {
    try EventLoop.run(configuration: configuration(calls)) { loop in
      for (host, expected) in [("two.example", "127.0.0.1"), (nil, "0.0.0.0")] as [(String?, String)] {
        let server = try await startServer(host: host, port: 0) { try await echo($0) }
        #expect(server.addresses.map(\.host) == [expected])
        let port = server.addresses[0].port
        #expect(try await exchange("x", with: SocketAddress(host: "127.0.0.1", port: port)) == "x")
        server.close()
      }
      var options = ServerOptions()
      options.dualStack = true
      let dual = try await startServer(host: nil, port: 0, options: options) { _ in }
      #expect(dual.addresses.map(\.host) == ["0.0.0.0"])
      dual.close()
      let error = await #expect(throws: AddressError.self) { try await startServer(host: "::1", port: 0) { _ in } }
      #expect(error?.address == (try SocketAddress(host: "::1", port: 0)))
    }
  }

  @Test func `SV-04: an address of IPv6 that the machine lacks is an error where IPv6 is on`() throws {
    try EventLoop.run(configuration: configuration(WithoutIPv6(.oneAddress))) { loop in
      let error = await #expect(throws: AddressError.self) {
        try await startServer(host: "two.example", port: 0) { _ in }
      }
      #expect(error?.error == SystemError(.addressNotAvailable, in: "bind"))
    }
  }
}

/// Calls of a machine that lacks IPv6, or an address of it.
final class WithoutIPv6: PartialCalls, CustomTestStringConvertible {
  enum Lack { case sockets, addresses, oneAddress }

  private let lack: Lack
  private let hasRefused = Shared(false)

  init(_ lack: Lack) { self.lack = lack }

  var testDescription: String { "without \(lack)" }

  func socket(_ family: Int32, _ type: Int32) throws(Errno) -> Int32 {
    if family == AF_INET6 && lack == .sockets { throw .addressFamilyNotSupported }
    // Of IPv4, so that it works on a machine that has no IPv6.
    return try LinuxSystemCalls().socket(AF_INET, type)
  }

  func setOption(_ descriptor: Int32, _ level: Int32, _ option: Int32, to value: Int32) throws(Errno) {
    if level == Int32(IPPROTO_IPV6) { return }
    try LinuxSystemCalls().setOption(descriptor, level, option, to: value)
  }

  func bind(_ descriptor: Int32, to address: SocketAddress) throws(Errno) {
    guard address.family == .ipv6 else { return try LinuxSystemCalls().bind(descriptor, to: address) }
    if lack == .oneAddress && hasRefused.value { return }
    hasRefused.change { $0 = true }
    throw .addressNotAvailable
  }
}
