// SPDX-License-Identifier: Apache-2.0
//
// A folder for the files of one test.

import Foundation

/// A folder that is removed, with all that is in it, at the end of the test.
final class TemporaryFolder: Sendable {
  private let url: URL

  init() {
    // Short: the path of a Unix socket has 107 bytes.
    url = URL(filePath: "/tmp/aio-\(UInt32.random(in: 0 ... .max))")
    try? FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
  }

  func path(_ name: String) -> String { url.path + "/" + name }

  /// What is in it.
  var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []).sorted() }

  func write(_ text: String, to name: String) throws {
    try text.write(toFile: path(name), atomically: false, encoding: .utf8)
  }

  func read(_ name: String) throws -> String { try String(contentsOfFile: path(name), encoding: .utf8) }

  deinit { try? FileManager.default.removeItem(at: url) }
}
