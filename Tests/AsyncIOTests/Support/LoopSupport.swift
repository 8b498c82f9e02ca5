// SPDX-License-Identifier: Apache-2.0
//
// What tests of the loop share: configurations, a kept log, counts of the process's resources.

import Glibc
import Logging
import Synchronization
import SystemPackage

@testable import AsyncIO

/// libevent's backend, with a count of its waits, for a loop that another thread makes.
final class WaitCountingBackend: Backend {
  private let backend: LibEventBackend
  let waits: Shared<Int>

  init(_ waits: Shared<Int>) throws {
    backend = try LibEventBackend(precise: false)
    self.waits = waits
  }

  func watch(
    _ descriptor: FileDescriptor, for readiness: Readiness, notice: @escaping () -> Void
  ) throws(SystemError) -> any Watch {
    try backend.watch(descriptor, for: readiness, notice: notice)
  }

  func wait(_ limit: WaitLimit) {
    waits.change { $0 += 1 }
    backend.wait(limit)
  }
}

extension EventLoop.Configuration {
  /// A loop on a virtual clock.
  static func virtual(_ clock: VirtualClock = VirtualClock()) -> Self {
    var configuration = Self()
    configuration.seams.clock = clock
    return configuration
  }

  /// A loop whose entries of a batch run in the order of a seed.
  static func shuffled(_ seed: UInt64) -> Self {
    var configuration = Self.virtual()
    configuration.seams.batchOrder = .seeded(seed)
    return configuration
  }

  /// A loop that counts its waits.
  static func counting(_ waits: Shared<Int>) throws -> Self {
    var configuration = Self()
    unsafe configuration.seams.backend = try WaitCountingBackend(waits)
    return configuration
  }

  func with(debug: Bool) -> Self {
    var configuration = self
    configuration.debug = debug
    return configuration
  }

  func with(log: Shared<[String]>) -> Self {
    var configuration = self
    configuration.logger = Logger(label: "test") { _ in KeptLog(entries: log) }
    return configuration
  }
}

extension EventLoop {
  /// Lets the loop make some turns.
  func makeTurns(_ count: Int) async throws {
    for _ in 0..<count { try await sleep(for: .zero) }
  }
}

/// A value that threads share.
final class Shared<Value: Sendable>: Sendable {
  private let mutex: Mutex<Value>

  init(_ value: Value) { mutex = Mutex(value) }

  var value: Value { mutex.withLock { $0 } }

  func change(_ body: (inout sending Value) -> Void) { mutex.withLock { body(&$0) } }
}

/// Says when it goes.
final class Sentinel {
  private let atEnd: () -> Void

  init(atEnd: @escaping () -> Void) { self.atEnd = atEnd }

  deinit { atEnd() }
}

/// A log handler that keeps the messages.
struct KeptLog: LogHandler {
  let entries: Shared<[String]>
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.trace

  init(entries: Shared<[String]>) { self.entries = entries }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let line = "\(event.metadata?["kind"] ?? "-") \(event.message)"
    entries.change { $0.append(line) }
  }
}

struct Oops: Error, Equatable {
  var number = 0
}

/// The process's resources. Only meaningful in a process of its own: an exit test.
enum ThisProcess {
  static var openDescriptors: Int {
    (0..<Int32(1_024)).count { fcntl($0, F_GETFD) >= 0 }
  }

  static var threads: Int { status("Threads:") }

  static var residentKilobytes: Int { status("VmRSS:") }

  /// Whether the address sanitizer is here, which keeps what is freed for a while, to find its users.
  static var keepsFreedMemory: Bool { unsafe dlsym(nil, "__asan_init") != nil }

  private static func status(_ field: String) -> Int {
    guard let file = try? FileDescriptor.open(FilePath("/proc/self/status"), .readOnly) else { return -1 }
    defer { try? file.close() }
    var bytes = [UInt8](repeating: 0, count: 8_192)
    // SAFETY: the buffer is the array's, and read fills no more than it.
    let count = unsafe bytes.withUnsafeMutableBytes { buffer in (unsafe try? file.read(into: buffer)) ?? 0 }
    let text = String(decoding: bytes[..<count], as: UTF8.self)
    for line in text.split(separator: "\n") where line.hasPrefix(field) {
      return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? -1
    }
    return -1
  }
}
