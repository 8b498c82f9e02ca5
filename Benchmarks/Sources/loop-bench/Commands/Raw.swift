// SPDX-License-Identifier: Apache-2.0
//
// One measurement, in this process, and one line about it. The tables are made of such lines, each of a process of its own.

import ArgumentParser
import Glibc

struct Raw: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "One measurement: name, workload, N, operations, wall and CPU ns an operation, peak KiB.")

  @Option(help: "Whom to measure.")
  var peer = Contender.ours.name

  @Option(help: "How often to do it, one after the other, in the same process.")
  var repeats = 1

  @Argument(help: "The workload: \(Workload.all.map(\.name).joined(separator: ", ")).")
  var workload: String

  @Argument(help: "N: timers, callbacks, tasks, or pushes.")
  var count: Int

  func run() throws {
    let workload = try Workload.required(workload)
    let contender = try Contender.required(peer)
    guard count > 0 && repeats > 0 else { throw ValidationError("give 1 or more") }
    guard contender.does(workload) else { throw ValidationError("\(contender.name) has no \(workload.name)") }
    switch contender.work {
    case .python: try becomePython(contender, workload, count, repeats)
    case .here(let bodies):
      guard let body = bodies[workload.name] else { return }
      var total = Reading(operations: 0, wall: 0, processor: 0)
      for _ in 0..<repeats { total += try body(count) }
      let operations = UInt64(total.operations)
      let times = "\(total.wall / operations) \(total.processor / operations)"
      print("\(contender.name) \(workload.name) \(count) \(operations) \(times) \(peakMemoryKiB())")
      fflush(nil)
      // At once: a million timers of a peer, and its threads, have nothing left to do.
      _exit(0)
    }
  }
}
