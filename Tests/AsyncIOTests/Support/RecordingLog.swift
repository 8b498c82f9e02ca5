// SPDX-License-Identifier: Apache-2.0
//
// A log that a test reads.

import AsyncIO
import Logging
import Synchronization

/// What was logged: the kinds, and the lines.
final class RecordingLog: Sendable {
  struct Entry: Sendable {
    let level: Logger.Level
    let line: String
    let kind: String?
  }

  private let recorded = Mutex<[Entry]>([])

  var entries: [Entry] { recorded.withLock { $0 } }
  var kinds: [String] { entries.compactMap(\.kind) }

  /// A configuration whose log is this one.
  func configuration(debug: Bool = false) -> EventLoop.Configuration {
    var configuration = EventLoop.Configuration()
    configuration.debug = debug
    configuration.logger = Logger(label: "test") { _ in Handler(log: self) }
    return configuration
  }

  fileprivate func record(_ entry: Entry) { recorded.withLock { $0.append(entry) } }

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
