// SPDX-License-Identifier: Apache-2.0
//
// The rules that hold for the sources as a whole: who may name whom, and how long a file may be.

import Foundation
import Testing

@Suite(.oneAtATime) struct ArchitectureTests {
  /// The floors, the lowest first; those side by side may not name each other.
  private static let floors = [
    ["System"], ["Backend"], ["Scheduling"], ["Loop"], ["Future"], ["Task"],
    ["Combinators", "Synchronization", "Threads"], ["Streams"], ["Process"],
  ]

  private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  @Test func `a file names only what stands on its own floor or below`() throws {
    let sources = try Self.swiftFiles(in: "Sources/AsyncIO")
    let functions = Self.functions(of: sources)
    var declared: [String: Set<String>] = [:]
    for source in sources { declared[source.floor, default: []].formUnion(source.declarations) }
    #expect(declared["Loop"]?.contains("EventLoop") == true)
    #expect(declared["Task"]?.isSuperset(of: ["LoopThread", "AnyLoopTask", "sleep"]) == true)
    for (level, floor) in Self.floors.enumerated() {
      // A function's name may be that of a member below, too.
      let above = Self.floors[(level + 1)...].joined()
      let members = Set(sources.filter { !above.contains($0.floor) }.flatMap { functions[$0.path] ?? [] })
      for source in sources where floor.contains(source.floor) {
        let words = source.words.subtracting(members)
        for upper in Self.floors[(level + 1)...].joined() + floor.filter({ $0 != source.floor }) {
          let named = words.intersection(declared[upper] ?? [])
          #expect(named.isEmpty, "\(source.path) names \(named.sorted()) of \(upper)/")
        }
      }
    }
  }

  @Test func `a file calls no member that is declared only on a floor above`() throws {
    let sources = try Self.swiftFiles(in: "Sources/AsyncIO")
    let functions = Self.functions(of: sources)
    for (level, floor) in Self.floors.enumerated() {
      let above = Set(Self.floors[(level + 1)...].joined())
      let declaredAbove = Set(sources.filter { above.contains($0.floor) }.flatMap { functions[$0.path] ?? [] })
      let declaredHere = Set(sources.filter { !above.contains($0.floor) }.flatMap { functions[$0.path] ?? [] })
      for source in sources where floor.contains(source.floor) {
        let called = source.calls.intersection(declaredAbove.subtracting(declaredHere))
          .subtracting(Self.callsOfTheCLibrary)
        #expect(called.isEmpty, "\(source.path) calls \(called.sorted()) of an upper floor")
      }
    }
  }

  /// Names that are the C library's, too.
  private static let callsOfTheCLibrary: Set = ["shutdown", "kill"]

  @Test func `each folder of the library has a floor`() throws {
    let folders = Set(try Self.swiftFiles(in: "Sources/AsyncIO").map(\.floor))
    #expect(folders.isSubset(of: Self.floors.joined()))
  }

  @Test func `only the backend imports libevent`() throws {
    for source in try Self.swiftFiles(in: "Sources") + Self.swiftFiles(in: "Tests")
    where source.code.contains(/\bimport\s+(\w+\s+)?CLibEvent\b/) {
      #expect(source.path.hasPrefix("Sources/AsyncIO/Backend/"), "\(source.path) imports CLibEvent")
    }
  }

  @Test func `no file is longer than 350 lines`() throws {
    for source in try Self.swiftFiles(in: "Sources") + Self.swiftFiles(in: "Tests") {
      let count = source.text.split(separator: "\n", omittingEmptySubsequences: false).count - 1
      #expect(count <= 350, "\(source.path) has \(count) lines")
    }
  }

  @Test func `each file begins with its licence`() throws {
    for source in try Self.swiftFiles(in: "Sources") + Self.swiftFiles(in: "Tests") {
      #expect(source.text.hasPrefix("// SPDX-License-Identifier: Apache-2.0\n"), "\(source.path)")
    }
  }

  @Test func `comments and strings are no code`() {
    let source = Source(
      path: "x",
      text: #"""
        let a = "Hidden" // Hidden
        /// ``Hidden``
        let b = "\(shown) Hidden \(f("Hidden"))" /* Hidden
        Hidden */ + Shown
        let c = """
          Hidden \(alsoShown) // Hidden
          """
        let d = "quote \" Hidden"; let e = Last()
        """#)
    #expect(!source.words.contains("Hidden"))
    #expect(source.words.isSuperset(of: ["shown", "f", "Shown", "alsoShown", "Last", "a", "b", "c", "d"]))
    #expect(source.calls == ["f", "Last"])
  }

  @Test func `declarations are found, whatever stands before them`() {
    let source = Source(
      path: "x",
      text: """
        package struct One {}
        @safe final class Two {
          struct Inner {}
          package static func member(_ x: Int) {}
          private func hidden() {}
        }
        public actor Three {}
        @usableFromInline
        enum Four {}
        @inlinable public func five() {}
        public protocol Six: AnyObject {}
        typealias Seven = () -> Void
        private struct Own {}
        extension Two { }
        """)
    #expect(source.declarations == ["One", "Two", "Three", "Four", "five", "Six", "Seven"])
    #expect(source.functions == ["member", "five"])
  }

  private static func functions(of sources: [Source]) -> [String: Set<String>] {
    Dictionary(uniqueKeysWithValues: sources.map { ($0.path, $0.functions) })
  }

  /// Read, and stripped of comments, once for all rules.
  private static let folders = ["Sources", "Tests"].map { folder in Result { try read(folder) } }

  private static func swiftFiles(in folder: String) throws -> [Source] {
    let all = try folders.flatMap { try $0.get() }
    return all.filter { $0.path.hasPrefix(folder + "/") }
  }

  private static func read(_ folder: String) throws -> [Source] {
    let start = root.appending(path: folder)
    let paths = try #require(FileManager.default.enumerator(atPath: start.path))
    let found = try paths.compactMap { $0 as? String }.filter { $0.hasSuffix(".swift") }.sorted().map {
      path in
      Source(
        path: "\(folder)/\(path)", text: try String(contentsOf: start.appending(path: path), encoding: .utf8))
    }
    try #require(!found.isEmpty)
    return found
  }
}

/// A file of the package.
private struct Source {
  let path: String
  let text: String
  /// The text without its comments, and without what its strings say.
  let code: String

  init(path: String, text: String) {
    self.path = path
    self.text = text
    code = CodeOnly.of(text)
  }

  /// The folder in the library.
  var floor: String {
    let parts = path.split(separator: "/")
    return parts.count > 3 ? String(parts[2]) : ""
  }

  /// The names that the file declares for others: types and functions that begin a line.
  var declarations: Set<String> {
    let pattern =
      #/^(?<head>(?:[@\w()]+ +)*)(?:struct|class|enum|actor|protocol|func|typealias) +(?<name>\w+)/#
    return Set(
      code.matches(of: pattern.anchorsMatchLineEndings()).compactMap { match in
        match.head.contains("private ") ? nil : String(match.name)
      })
  }

  /// The names of the functions that the file declares for others, members included.
  var functions: Set<String> {
    let pattern = #/^(?<head>.*)\bfunc +(?<name>\w+)/#
    return Set(
      code.matches(of: pattern.anchorsMatchLineEndings()).compactMap { match in
        match.head.contains("private ") ? nil : String(match.name)
      })
  }

  var words: Set<String> { Set(code.matches(of: #/\b[A-Za-z_]\w*/#).map { String($0.output) }) }

  /// The names that stand before an opening parenthesis.
  var calls: Set<String> { Set(code.matches(of: #/\b(?<name>[A-Za-z_]\w*)\(/#).map { String($0.name) }) }
}

/// A reader of Swift that knows comments and strings, and nothing else. It goes by bytes: by characters the sources as a
/// whole take seconds.
private struct CodeOnly {
  private let text: [UInt8]
  private var place = 0
  private var code: [UInt8] = []

  static func of(_ text: String) -> String {
    var reader = CodeOnly(text: Array(text.utf8))
    reader.readCode(untilClosed: false)
    return String(decoding: reader.code, as: UTF8.self)
  }

  private init(text: [UInt8]) {
    self.text = text
  }

  /// Reads to the end, or to the parenthesis that closes an interpolation.
  private mutating func readCode(untilClosed: Bool) {
    var depth = 0
    while place < text.count {
      let byte = text[place]
      if byte == UInt8(ascii: "/"), finds("//") {
        skip(to: "\n")
      } else if byte == UInt8(ascii: "/"), finds("/*") {
        skip(to: "*/")
        place += 2
      } else if byte == UInt8(ascii: "\"") {
        let mark: String = finds("\"\"\"") ? "\"\"\"" : "\""
        place += mark.utf8.count
        readString(until: mark)
      } else {
        if byte == UInt8(ascii: "(") { depth += 1 }
        if byte == UInt8(ascii: ")") { depth -= 1 }
        place += 1
        if untilClosed && depth < 0 { return }
        code.append(byte)
      }
    }
  }

  private mutating func readString(until end: String) {
    while place < text.count {
      let byte = text[place]
      if byte == UInt8(ascii: "\""), finds(end) {
        place += end.utf8.count
        code += "\"\"".utf8
        return
      }
      if byte == UInt8(ascii: "\\"), finds("\\(") {
        place += 2
        code.append(UInt8(ascii: " "))
        readCode(untilClosed: true)
        code.append(UInt8(ascii: " "))
      } else {
        place += byte == UInt8(ascii: "\\") ? 2 : 1
      }
    }
  }

  /// Goes on to the next place where a mark stands, or to the end.
  private mutating func skip(to mark: String) {
    while place < text.count && !finds(mark) { place += 1 }
  }

  /// Whether a mark stands at the present place.
  private func finds(_ mark: String) -> Bool {
    var place = place
    for byte in mark.utf8 {
      guard place < text.count, text[place] == byte else { return false }
      place += 1
    }
    return true
  }
}
