// SPDX-License-Identifier: Apache-2.0
//
// The command line: a table of ours beside the peers, or one measurement.

import ArgumentParser

@main
struct LoopBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "loop-bench",
    abstract: "Measures AsyncIO beside its peers, in one run.",
    subcommands: [Kernel.self, Raw.self, IdleTaskMemory.self], defaultSubcommand: Kernel.self)
}

/// The table.
struct Kernel: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Callbacks and tasks, beside raw libevent and a bare Swift executor: medians of interleaved rounds.")

  @Option(help: "How many times each is measured.")
  var rounds = 5

  @Option(help: "Operations a measurement; each workload has its own default.")
  var count: Int?

  @Option(help: "Only this workload.")
  var only: String?

  func validate() throws {
    guard rounds > 0 else { throw ValidationError("--rounds: give 1 or more") }
    guard count.map({ $0 > 0 }) ?? true else { throw ValidationError("--count: give 1 or more") }
  }

  func run() throws {
    print("workload      op               ours ns   peer ns   ratio   target  peer")
    for workload in Workload.all where only == nil || only == workload.name {
      let n = count ?? workload.defaultCount
      var ours: [Double] = []
      var peer: [Double] = []
      for _ in 0..<rounds {
        ours.append(Double(try workload.ours(n)) / Double(n))
        peer.append(Double(try workload.peer(n)) / Double(n))
      }
      let (a, b) = (median(ours), median(peer))
      let columns = [
        workload.name.padded(14), workload.operation.padded(16), a.text(width: 8), b.text(width: 10),
        workload.target.text(a, b), "  " + workload.peerName,
      ]
      print(columns.joined())
    }
  }
}

/// One line for scripts.
struct Raw: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "One measurement of ours: name, workload, N, operations, wall and CPU ns an operation, peak KiB.")

  @Argument(help: "The workload.")
  var workload: String

  @Argument(help: "The number of operations.")
  var count: Int

  func run() throws {
    guard let workload = Workload.all.first(where: { $0.name == workload }) else {
      throw ValidationError("no workload '\(workload)'; there are \(Workload.all.map(\.name).joined(separator: ", "))")
    }
    guard count > 0 else { throw ValidationError("give 1 operation or more") }
    let before = processorNanoseconds()
    let wall = try workload.ours(count)
    let processor = processorNanoseconds() - before
    let n = UInt64(count)
    print("asyncio-swift \(workload.name) \(count) \(count) \(wall / n) \(processor / n) \(peakMemoryKiB())")
  }
}

extension Workload.Target {
  /// What was measured, and what it may be.
  func text(_ ours: Double, _ peer: Double) -> String {
    switch self {
    case .ratio(let most): (ours / peer).text(width: 8, decimals: 2) + most.text(width: 9, decimals: 2)
    case .difference(let most): (ours - peer).text(width: 5) + " ns" + most.text(width: 6) + " ns"
    }
  }
}

func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  let middle = sorted.count / 2
  return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
}

extension String {
  func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}

extension Double {
  func text(width: Int, decimals: Int = 0) -> String {
    var factor = 1.0
    for _ in 0..<decimals { factor *= 10 }
    let scaled = Int((self * factor).rounded())
    var digits = String(scaled)
    if decimals > 0 {
      digits = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
      digits.insert(".", at: digits.index(digits.endIndex, offsetBy: -decimals))
    }
    return String(repeating: " ", count: max(0, width - digits.count)) + digits
  }
}
