// SPDX-License-Identifier: Apache-2.0
//
// Addresses as a line of text, of every kind, to and fro.

extension SocketAddress: CustomStringConvertible {
  /// `127.0.0.1:7000`, `[::1]:7000`, `/run/service.sock`, `@name` for an abstract one, `unnamed`.
  public var description: String {
    if let host { return family == .ipv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }
    guard family == .unix else { return "an address of family \(family.rawValue)" }
    return unixPath ?? abstractName.map { "@\($0)" } ?? "unnamed"
  }

  /// Reads an address from a line of text, as ``description`` writes it: `127.0.0.1:7000`, `[::1]:7000`, a path that
  /// begins with a slash or a dot, or `@` and an abstract name.
  ///
  /// - Throws: ``InvalidArgumentError`` for all else, also for names of hosts.
  public init(parsing text: String) throws(InvalidArgumentError) {
    switch text.utf8.first {
    case UInt8(ascii: "/"), UInt8(ascii: "."):
      try self.init(unixPath: text)
    case UInt8(ascii: "@"):
      try self.init(abstractName: String(text.unicodeScalars.dropFirst()))
    default:
      guard let address = Self.endpoint(text.utf8[...]) else {
        throw InvalidArgumentError(
          "\(text.debugDescription) is no address; give 127.0.0.1:7000, [::1]:7000, a path or @name")
      }
      self = address
    }
  }

  private static func endpoint(_ text: Substring.UTF8View) -> SocketAddress? {
    guard let colon = text.lastIndex(of: UInt8(ascii: ":")), let port = portNumber(text[text.index(after: colon)...])
    else { return nil }
    var host = text[..<colon]
    let isBracketed = host.first == UInt8(ascii: "[") && host.last == UInt8(ascii: "]") && host.count >= 2
    if isBracketed { host = host.dropFirst().dropLast() }
    guard let host = String(host), let address = literal(host, port) else { return nil }
    // Without brackets nobody could say which colon is the last.
    return isBracketed == (address.family == .ipv6) ? address : nil
  }

  /// Digits alone: the standard library would take a sign, too.
  private static func portNumber(_ text: Substring.UTF8View) -> UInt16? {
    let isNumber = !text.isEmpty && text.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    return isNumber ? UInt16(String(Substring(text))) : nil
  }
}
