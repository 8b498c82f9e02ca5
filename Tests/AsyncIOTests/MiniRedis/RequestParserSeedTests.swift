// SPDX-License-Identifier: Apache-2.0
//
// What the fuzzer starts from, and what it has found, as tests.

import Foundation
import Testing

@testable import mini_redis

@Suite struct RequestParserSeedTests {
  private static let folder = URL(filePath: #filePath).appending(path: "../../../../.ci/fuzz/seeds/resp")
    .standardizedFileURL

  @Test func `each seed is the same requests, and the same error, at every split`() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).sorted()
    try #require(names.count >= 10)
    var limits = RequestLimits()
    limits.line = 64
    limits.bulk = 100
    limits.request = 400
    limits.arguments = 20
    var errors: Set<String> = []
    for name in names {
      // The first byte is the fuzzer's.
      let stream = Array(try Data(contentsOf: Self.folder.appending(path: name)).dropFirst())
      let pieces = Pieces(of: stream, limits)
      let whole = pieces.parse(splittingAt: [])
      if let error = whole.error { errors.insert(error.description) }
      #expect(pieces.parse(splittingAt: Array(0...stream.count)) == whole, "\(name), byte by byte")
      for place in 0...stream.count { #expect(pieces.parse(splittingAt: [place]) == whole, "\(name), at \(place)") }
    }
    #expect(errors.count >= 8)
  }
}
