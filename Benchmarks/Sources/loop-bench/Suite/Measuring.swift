// SPDX-License-Identifier: Apache-2.0
//
// What a measurement reads: two clocks, and the memory of the process. And what several contenders need for their work.

import CRawLibevent
import Glibc

/// What some operations took, all together.
struct Reading: Sendable {
  var operations: Int
  var wall: UInt64
  /// The time of all processors, in all threads.
  var processor: UInt64

  init(operations: Int, wall: UInt64, processor: UInt64) {
    self.operations = operations
    self.wall = wall
    self.processor = processor
  }

  init(_ operations: Int, _ raw: raw_reading) {
    self.init(operations: operations, wall: raw.wall, processor: raw.processor)
  }

  /// Two parts of each operation, measured one after the other; where the second was done fewer times, the first is taken
  /// down to as many.
  init(_ first: Reading, then second: Reading) {
    func scaled(_ value: UInt64) -> UInt64 {
      UInt64(Double(value) * Double(second.operations) / Double(max(1, first.operations)))
    }
    self.init(
      operations: second.operations, wall: scaled(first.wall) + second.wall,
      processor: scaled(first.processor) + second.processor)
  }

  static func += (total: inout Reading, part: Reading) {
    total.operations += part.operations
    total.wall += part.wall
    total.processor += part.processor
  }
}

struct Stopwatch: Sendable {
  private let wall = monotonicNanoseconds()
  private let processor = processorNanoseconds()

  func reading(_ operations: Int) -> Reading {
    let processor = processorNanoseconds() - processor
    return Reading(operations: operations, wall: monotonicNanoseconds() - wall, processor: processor)
  }
}

func monotonicNanoseconds() -> UInt64 { nanoseconds(CLOCK_MONOTONIC) }

/// The processor time of this process, user and system.
func processorNanoseconds() -> UInt64 { nanoseconds(CLOCK_PROCESS_CPUTIME_ID) }

private func nanoseconds(_ clock: clockid_t) -> UInt64 {
  var time = timespec()
  clock_gettime(clock, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// The most memory that the process has had. Not `getrusage`, which counts what its parent had when it was started.
func peakMemoryKiB() -> Int {
  textOfFile("/proc/self/status").split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    .flatMap { line in Int(line.filter(\.isNumber)) } ?? 0
}

/// The memory that a process has now; this one, where none is named.
func residentBytes(of process: String = "self") -> Int {
  let pages = textOfFile("/proc/\(process)/statm").split(separator: " ").dropFirst().first
  return (pages.flatMap { Int($0) } ?? 0) * sysconf(Int32(_SC_PAGESIZE))
}

/// The start of a small file.
func textOfFile(_ path: String) -> String {
  let file = open(path, O_RDONLY)
  defer { close(file) }
  var bytes = [UInt8](repeating: 0, count: 4_096)
  let count = max(0, read(file, &bytes, bytes.count))
  return String(decoding: bytes[..<count], as: UTF8.self)
}

/// The random numbers of all contenders.
struct Delays {
  private var state: UInt64 = 42

  mutating func next() -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int(state >> 33)
  }

  /// Of a timer that fires in the measurement.
  mutating func short() -> Int { next() % 50_000 }

  /// Of a timer that never fires in it.
  mutating func long() -> Int { 30_000_000 + next() % 10_000_000 }
}

/// The numbers below n, shuffled: the same way each time.
func permutation(_ n: Int) -> [UInt32] {
  var delays = Delays()
  var numbers = Array(0..<UInt32(n))
  for index in numbers.indices.dropFirst().reversed() { numbers.swapAt(index, delays.next() % (index + 1)) }
  return numbers
}

/// What `timers-churn` does, for all.
enum Churn {
  static let idleTimeouts = 100_000
  static let pushesInTurn = 64
  static let seconds = 30
}

/// How many tasks are gathered at a time.
let gathered = 10_000

/// Runs a body in a thread that nobody waits for.
func inThread(_ body: @escaping @Sendable () -> Void) {
  final class Context: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  var thread = pthread_t()
  let context = Unmanaged.passRetained(Context(body)).toOpaque()
  let result = pthread_create(
    &thread, nil,
    { context in
      if let context { Unmanaged<Context>.fromOpaque(context).takeRetainedValue().body() }
      return nil
    }, context)
  precondition(result == 0, "pthread_create failed: \(result)")
  pthread_detach(thread)
}
