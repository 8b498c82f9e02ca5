// SPDX-License-Identifier: Apache-2.0
//
// The article on testing a service shows what a failing seed says: it is what it says.

import AsyncIOTesting
import Foundation
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ArticleTests {
  /// The body of the article.
  private static let prices: @Sendable (isolated EventLoop) async throws -> Void = { loop in
    var price: Int?
    let feed = loop.createTask(name: "feed") {
      try await sleep(for: .milliseconds(5))
      price = 7
    }
    let page = loop.createTask(name: "page") {
      try await sleep(for: .milliseconds(5))
      return "\(price ?? 0) euro"
    }
    try await feed.value
    let text = try await page.value
    #expect(text == "7 euro")
  }

  private static let article = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Sources/AsyncIOTesting/AsyncIOTesting.docc/TestingAService.md")

  /// The lines of a text, without the files and their lines, which are others for everybody.
  private static func lines(_ text: some StringProtocol) -> [String] {
    text.split(separator: "\n").map {
      String($0).replacing(/[\w+]+\.swift:\d+(:\d+)?/, with: "file")
        .trimmingCharacters(in: .whitespaces)
    }
  }

  @Test func `what the article shows of a seed that fails is what is told of it, each time`() throws {
    try TestLoop.run { loop in try await Self.prices(loop) }
    let text = try String(contentsOf: Self.article, encoding: .utf8)
    let shown = try #require(text.split(separator: "```\n").first { $0.hasPrefix("seed ") })
    for _ in 0..<3 {
      var told = ""
      withKnownIssue {
        do { try TestLoop.run(seeds: 0..<1_000, .init(), Self.prices) } catch { told = "\(error)" }
      }
      #expect(Self.lines(told) == Self.lines(shown))
    }
  }

  private static func serve(_ connection: Connection, idleLimit: Duration) async throws {
    do {
      while let line = try await connection.reader.readLine(timeout: idleLimit) {
        try await connection.writer.write(line + "\n")
      }
    } catch is TimeoutError {
      try await connection.writer.write("bye\n")
    }
  }

  @Test func `the example of the README`() throws {
    var world = TestLoop.Configuration()
    world.network = TestLoop.Network()
    try TestLoop.run(seeds: 0..<200, world) { loop in
      let server = try await startServer(host: "127.0.0.1", port: 7_000) {
        try await Self.serve($0, idleLimit: .seconds(3_600))
      }
      defer { server.abortClients() }
      let client = try await openConnection(host: "127.0.0.1", port: 7_000)
      #expect(try await client.reader.readLine() == "bye")
      client.close()
    }
  }
}
