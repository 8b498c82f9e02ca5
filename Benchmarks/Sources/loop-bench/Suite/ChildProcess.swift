// SPDX-License-Identifier: Apache-2.0
//
// A measurement in a process of its own: so its peak of memory is its own, too, and no heap helps the next contender.

import Glibc

/// What a line of `raw` says, for one operation each, in nanoseconds.
struct Measurement: Sendable, Codable {
  let operations: Int
  let wall: Double
  let processor: Double
  let peakKiB: Int

  func time(_ basis: Workload.Basis) -> Double {
    switch basis {
    case .wall: wall
    case .processor: processor
    }
  }
}

struct MeasurementFailed: Error, CustomStringConvertible {
  let description: String
}

extension Contender {
  /// Whether what it needs is on this machine.
  var isAvailable: Bool {
    guard case .python = work else { return true }
    return (try? run("/usr/bin/env", ["python3", "-c", "import \(name)"], quietly: true)) != nil
  }

  /// Measures once, in another process: the body runs `repeats` times, and all of it counts.
  func measure(_ workload: Workload, _ count: Int, repeats: Int = 1) throws -> Measurement {
    let words = ["raw", "--peer", name, "--repeats", String(repeats), workload.name, String(count)]
    let fields = try run("/proc/self/exe", words).split(whereSeparator: \.isWhitespace)
    guard fields.count == 7, let operations = Int(fields[3]), let wall = Double(fields[4]),
      let processor = Double(fields[5]), let peak = Int(fields[6])
    else { throw MeasurementFailed(description: "\(name), \(workload.name): not a line of raw: \(fields)") }
    return Measurement(operations: operations, wall: wall, processor: processor, peakKiB: peak)
  }
}

/// Starts a program.
///
/// - Returns: The process, and the end of the pipe to which it writes; whoever calls waits for the one, and closes the
///   other.
func startProgram(
  _ path: String, _ arguments: [String], quietly: Bool = false
) throws -> (process: pid_t, output: Int32) {
  var ends: [Int32] = [-1, -1]
  guard pipe(&ends) == 0 else { throw MeasurementFailed(description: "pipe failed: errno \(errno)") }
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
  for end in ends { posix_spawn_file_actions_addclose(&actions, end) }
  if quietly { posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) }
  var words = ([path] + arguments).map { strdup($0) } + [nil]
  defer { for word in words { free(word) } }
  var process = pid_t()
  let failure = posix_spawn(&process, path, &actions, nil, &words, environ)
  close(ends[1])
  guard failure == 0 else {
    close(ends[0])
    throw MeasurementFailed(description: "\(path) did not start: errno \(failure)")
  }
  return (process, ends[0])
}

/// Runs a program, and returns what it writes.
private func run(_ path: String, _ arguments: [String], quietly: Bool = false) throws -> String {
  let (process, output) = try startProgram(path, arguments, quietly: quietly)
  defer { close(output) }
  let text = textUntilEnd(of: output)
  var status: Int32 = 0
  while waitpid(process, &status, 0) < 0 && errno == EINTR {}
  guard status == 0 else {
    throw MeasurementFailed(description: "\(arguments.joined(separator: " ")): ended with status \(status)")
  }
  return text
}

private func textUntilEnd(of descriptor: Int32) -> String {
  var all: [UInt8] = []
  var bytes = [UInt8](repeating: 0, count: 4_096)
  while true {
    let count = read(descriptor, &bytes, bytes.count)
    if count < 0 && errno == EINTR { continue }
    if count <= 0 { return String(decoding: all, as: UTF8.self) }
    all += bytes[..<count]
  }
}
