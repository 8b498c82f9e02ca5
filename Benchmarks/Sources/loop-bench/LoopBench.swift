// SPDX-License-Identifier: Apache-2.0
//
// The command line.

import ArgumentParser

@main
struct LoopBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "loop-bench",
    abstract: "Measures AsyncIO beside its peers, in one run.",
    subcommands: [
      All.self, Kernel.self, Timers.self, Tasks.self, Raw.self, Plot.self, Lateness.self, TimerMemory.self,
      IdleTaskMemory.self, CombinatorMemory.self, Echo.self, EchoServe.self, ConnectionMemory.self,
    ],
    defaultSubcommand: Kernel.self)
}
