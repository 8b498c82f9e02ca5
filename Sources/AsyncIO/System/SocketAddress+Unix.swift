// SPDX-License-Identifier: Apache-2.0
//
// Addresses of Unix sockets: files, and names that are no files.

import Glibc

extension SocketAddress {
  /// The longest path or name, in bytes.
  public static let longestUnixPath = 107

  /// Where a path begins in the kernel's structure: behind the family.
  private static let pathOffset = MemoryLayout<sa_family_t>.size

  /// The address of a Unix socket that is a file.
  ///
  /// - Throws: ``InvalidArgumentError`` for a path that is empty, has a zero byte, or is longer than 107 bytes of UTF-8:
  ///   the kernel has no room for more, and a shortened one would be another file.
  public init(unixPath path: String) throws(InvalidArgumentError) {
    let bytes = Array(path.utf8)
    guard !bytes.isEmpty, !bytes.contains(0) else {
      throw InvalidArgumentError("path \(path.debugDescription) is no path: it is empty, or has a zero byte")
    }
    try Self.requireRoom(for: bytes, "path")
    // The zero that ends it counts.
    self.init(unix: bytes, at: Self.pathOffset, length: Self.pathOffset + bytes.count + 1)
  }

  /// The address of a Unix socket in Linux's abstract name space: no file, gone with its socket.
  ///
  /// - Parameter name: 1 to 107 bytes of UTF-8, of which none has a meaning.
  /// - Throws: ``InvalidArgumentError`` for another length.
  public init(abstractName name: String) throws(InvalidArgumentError) {
    let bytes = Array(name.utf8)
    guard !bytes.isEmpty else { throw InvalidArgumentError("the abstract name is empty") }
    try Self.requireRoom(for: bytes, "abstract name")
    self.init(unix: bytes, at: Self.pathOffset + 1, length: Self.pathOffset + 1 + bytes.count)
  }

  /// What the kernel says for the address of a Unix socket that was not bound.
  package static let unnamed = SocketAddress(unix: [], at: pathOffset, length: pathOffset)

  private static func requireRoom(for bytes: [UInt8], _ what: String) throws(InvalidArgumentError) {
    guard bytes.count <= longestUnixPath else {
      throw InvalidArgumentError(
        "the \(what) of a Unix socket has \(bytes.count) bytes; Linux has room for \(longestUnixPath)")
    }
  }

  private init(unix bytes: [UInt8], at offset: Int, length: Int) {
    unsafe self.init(length: length) { storage in
      // SAFETY: 2 + 1 + 107 bytes are within the storage.
      unsafe storage.storeBytes(of: sa_family_t(AF_UNIX), as: sa_family_t.self)
      for (index, byte) in bytes.enumerated() { unsafe storage[offset + index] = byte }
    }
  }

  /// The length in the one form that equal addresses have: a path with one zero behind it, whatever the kernel says.
  var unixLength: Int {
    let path = bytes.dropFirst(Self.pathOffset)
    guard let first = path.first, first != 0 else { return Self.pathOffset + path.count }
    return Self.pathOffset + path.prefix { $0 != 0 }.count + 1
  }

  /// The path of a Unix socket that is a file.
  public var unixPath: String? {
    guard family == .unix else { return nil }
    let path = bytes.dropFirst(Self.pathOffset).prefix { $0 != 0 }
    return path.isEmpty ? nil : String(decoding: path, as: UTF8.self)
  }

  /// The name of a Unix socket in the abstract name space.
  public var abstractName: String? {
    guard family == .unix, unixPath == nil, !isUnnamed else { return nil }
    return String(decoding: bytes.dropFirst(Self.pathOffset + 1), as: UTF8.self)
  }
}
