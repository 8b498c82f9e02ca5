// SPDX-License-Identifier: Apache-2.0
//
// The tables: ours beside the peers.

import ArgumentParser
import Foundation

struct All: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "All tables.")
  @OptionGroup var options: TableOptions
  func run() throws { try options.run(Workload.all) }
}

struct Kernel: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "The tables of callbacks and of tasks.")
  @OptionGroup var options: TableOptions
  func run() throws { try options.run(Workload.all.filter { $0.family != .timers }) }
}

struct Timers: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "The tables of timers.")
  @OptionGroup var options: TableOptions
  func run() throws { try options.run(Workload.all.filter { $0.family == .timers }) }
}

struct Tasks: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "The tables of tasks.")
  @OptionGroup var options: TableOptions
  func run() throws { try options.run(Workload.all.filter { $0.family == .tasks }) }
}

struct TableOptions: ParsableArguments {
  @Option(help: "How often each contender is measured; they take turns.")
  var rounds = 5

  @Option(help: "N, for all workloads; each has its own default.")
  var count: Int?

  @Option(help: "Only this workload; may be repeated.")
  var only: [String] = []

  @Option(help: "Only this contender beside ours; may be repeated: \(Contender.names).")
  var peer: [String] = []

  @Option(help: "A file for all measurements.", completion: .file(extensions: ["json"]))
  var json: String?

  func validate() throws {
    guard rounds > 0 else { throw ValidationError("--rounds: give 1 or more") }
    guard count.map({ $0 > 0 }) ?? true else { throw ValidationError("--count: give 1 or more") }
    for name in only { _ = try Workload.required(name) }
    for name in peer { _ = try Contender.required(name) }
  }

  func run(_ workloads: [Workload]) throws {
    let contenders = availableContenders(peer)
    let rows = workloads.filter { only.isEmpty || only.contains($0.name) }.flatMap { workload in
      workload.sizes(count).map { size in
        Row(workload: workload, size: size, contenders: contenders, rounds: rounds, repeats: size.repeats)
      }
    }
    var progress = Progress(steps: rows.map(\.steps).reduce(0, +))
    var results: [Series] = []
    for row in rows {
      let series = try row.measure(&progress)
      print(row.table(series))
      fflush(nil)
      results += series
      // After each row: a run that is broken off has written what it has.
      if let json { try write(results, to: json) }
    }
  }
}

/// Ours first, then the peers that are on this machine: those of some names, or all.
func availableContenders(_ names: [String]) -> [Contender] {
  Contender.all.filter { contender in
    contender.name == Contender.ours.name
      || (names.isEmpty || names.contains(contender.name)) && contender.isAvailable
  }
}

private func write(_ results: [Series], to path: String) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
  try encoder.encode(results).write(to: URL(filePath: path))
}

extension Workload {
  /// Its own sizes, or one of another N.
  fileprivate func sizes(_ count: Int?) -> [Size] {
    guard let count else { return sizes }
    return sizes.prefix(1).map { Size(count: count, basis: $0.basis) }
  }

  static func required(_ name: String) throws -> Workload {
    if let workload = named(name) { return workload }
    throw ValidationError("no workload '\(name)'; there are \(all.map(\.name).joined(separator: ", "))")
  }
}

extension Contender {
  static var names: String { all.map(\.name).joined(separator: ", ") }

  static func required(_ name: String) throws -> Contender {
    if let contender = named(name) { return contender }
    throw ValidationError("no contender '\(name)'; there are \(names)")
  }
}
