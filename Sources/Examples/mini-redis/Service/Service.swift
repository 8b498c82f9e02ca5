// SPDX-License-Identifier: Apache-2.0
//
// What all clients share. There is one loop, and so there is no lock.

import AsyncIO

/// The service: its keys, its channels, and those who wait.
final class Service {
  let settings: Settings
  let commands = CommandTable.standard
  let keyspace = Keyspace()
  let channels = Channels()
  let blocked = BlockedClients()
  let started: EventLoop.Instant
  var statistics = Statistics()

  init(_ settings: Settings = Settings(), on loop: isolated EventLoop) {
    self.settings = settings
    started = loop.now
  }

  /// Counts a client in, and returns its number.
  func enter() -> Int {
    statistics.connections += 1
    statistics.clients += 1
    return statistics.connections
  }

  func leave() { statistics.clients -= 1 }

  var isFull: Bool { statistics.clients >= settings.maximumClients }
}

/// How the service is to be.
struct Settings {
  var host = "127.0.0.1"
  var port = 6379
  var maximumClients = 10_000
  var limits = ServiceLimits()
}

/// What a client may cost.
struct ServiceLimits {
  var request = RequestLimits()
  /// The most bytes that wait for a client that does not read what is published to it.
  var push = 32 << 20
  /// The most bytes of replies that are made at once, of a request that asks for many values.
  var reply = 512 << 20
  /// How long a client may send nothing, and take nothing of its replies; 0: as long as it likes. One that hears channels
  /// may, and one that waits for an element.
  var idleSeconds = 0

  var idle: Duration? { idleSeconds == 0 ? nil : .seconds(idleSeconds) }
}

/// What is counted.
struct Statistics {
  /// Clients that are connected.
  var clients = 0
  /// Clients that ever were.
  var connections = 0
  var commands = 0
  var rejected = 0
}
