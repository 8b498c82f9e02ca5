// SPDX-License-Identifier: Apache-2.0
//
// Echo over TCP: requests a second, how long they take, and the server's processor time for each.

import ArgumentParser
import CRawLibevent
import Glibc

struct EchoServe: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "One echo server, until it is ended. It writes its port first.", shouldDisplay: false)

  @Argument var server: EchoServer

  func run() throws { try server.serve() }
}

struct Echo: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Echo over TCP, on one core; the clients are on another.")

  @Option(help: "How many connections; may be given several times.")
  var connections: [Int] = [1, 50, 500]

  @Option(help: "Bytes of a request; may be given several times.")
  var size: [Int] = [64, 16_384]

  @Option(help: "Requests of a round.")
  var requests = 50_000

  @Option(help: "Rounds; the medians are shown.")
  var rounds = 3

  @Option(help: "Only these servers; may be given several times.")
  var peer: [EchoServer] = EchoServer.allCases

  struct Reading {
    var rate: Double
    var p50: Double
    var p99: Double
    var processor: Double
  }

  func validate() throws {
    guard (connections + size + [requests, rounds]).allSatisfy({ $0 > 0 }) else {
      throw ValidationError("give 1 or more")
    }
  }

  func run() throws {
    allow_all_descriptors()
    for connections in connections {
      for size in size { try row(connections, size) }
    }
  }

  private func row(_ connections: Int, _ size: Int) throws {
    var readings: [EchoServer: [Reading]] = [:]
    for _ in 0..<rounds {
      for server in peer { readings[server, default: []].append(try measure(server, connections, size)) }
    }
    let medians = readings.mapValues { all in
      Reading(
        rate: median(all.map(\.rate)), p50: median(all.map(\.p50)), p99: median(all.map(\.p99)),
        processor: median(all.map(\.processor)))
    }
    let columns = ["requests/s", "p50 us", "p99 us", "CPU us", "rate", "p99", "CPU"]
    print("echo, \(connections) connections, \(size) bytes; the last three in units of libevent's")
    print("".padded(16) + columns.map { $0.padded(left: 11) }.joined())
    for server in peer {
      guard let reading = medians[server] else { continue }
      let base = medians[.libevent]
      let texts = [
        reading.rate.text(), (reading.p50 / 1_000).text(decimals: 1), (reading.p99 / 1_000).text(decimals: 1),
        (reading.processor / 1_000).text(decimals: 2),
        base.map { (reading.rate / $0.rate).text(decimals: 2) } ?? "-",
        base.map { (reading.p99 / $0.p99).text(decimals: 2) } ?? "-",
        base.map { (reading.processor / $0.processor).text(decimals: 2) } ?? "-",
      ]
      print(server.rawValue.padded(16) + texts.map { $0.padded(left: 11) }.joined())
    }
    print("")
    fflush(nil)
  }

  private func measure(_ server: EchoServer, _ connections: Int, _ size: Int) throws -> Reading {
    let process = try ServerProcess(server)
    // The first requests meet code that has not run, and memory that is not there.
    _ = try load(process, connections, size, requests: max(connections, requests / 10))
    let before = process.processorTime
    let reading = try load(process, connections, size, requests: requests)
    let processor = process.processorTime - before
    return Reading(
      rate: Double(requests) / Double(reading.wall) * 1e9, p50: Double(reading.p50), p99: Double(reading.p99),
      processor: Double(processor) / Double(requests))
  }

  private func load(
    _ process: ServerProcess, _ connections: Int, _ size: Int, requests: Int
  ) throws -> echo_reading {
    var reading = echo_reading()
    guard echo_load(Int32(process.port), Int32(connections), size, UInt64(requests), &reading) == 0 else {
      throw MeasurementFailed(description: "a server failed in the middle of the load")
    }
    return reading
  }
}

struct ConnectionMemory: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "The memory of connections that are idle, tasks included; fails above the target.")

  @Argument(help: "The number of connections.")
  var count = 9_000

  @Option(help: "Only these servers; may be given several times.")
  var peer: [EchoServer] = EchoServer.allCases

  static let target = 4_096

  func run() throws {
    allow_all_descriptors()
    var isTooMuch = false
    for server in peer {
      let process = try ServerProcess(server)
      var reading = echo_reading()
      // So that what is set up once is there.
      guard echo_load(Int32(process.port), 10, 64, 1_000, &reading) == 0 else { throw ExitCode.failure }
      let before = process.residentBytes
      let all = (0..<count).map { _ in connect_to_loopback(Int32(process.port)) }
      defer { for descriptor in all where descriptor >= 0 { close(descriptor) } }
      guard all.allSatisfy({ $0 >= 0 }) else { throw MeasurementFailed(description: "not so many connections") }
      // Each has been served once, and is idle.
      for descriptor in all {
        var byte: UInt8 = 1
        guard send(descriptor, &byte, 1, 0) == 1, recv(descriptor, &byte, 1, 0) == 1 else { throw ExitCode.failure }
      }
      let each = (process.residentBytes - before) / count
      print("connection-memory".padded(18) + server.rawValue.padded(16) + "\(each) bytes".padded(left: 12))
      if server == .ours && each > Self.target { isTooMuch = true }
    }
    if isTooMuch { throw ExitCode.failure }
  }
}
