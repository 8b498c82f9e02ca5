// SPDX-License-Identifier: Apache-2.0
//
// A log that a test reads.

import Logging

/// What was logged: the kinds, and the lines.
final class RecordingLog: Sendable {
  struct Entry: Sendable {
    let level: Logger.Level
    let line: String
    let kind: String?
  }

  private let recorded = Notes<Entry>()

  var entries: [Entry] { recorded.value }
  var kinds: [String] { entries.compactMap(\.kind) }
  var lines: [String] { entries.map(\.line) }

  var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }

  fileprivate func record(_ entry: Entry) { recorded.add(entry) }

  private struct Handler: LogHandler {
    let log: RecordingLog
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      log.record(
        Entry(
          level: event.level, line: "\(event.message)", kind: event.metadata?["kind"].map { "\($0)" }))
    }
  }
}
