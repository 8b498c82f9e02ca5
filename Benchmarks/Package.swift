// swift-tools-version: 6.3
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

let package = Package(
  name: "loop-benchmarks",
  dependencies: [
    .package(name: "swift-asyncio", path: ".."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
  ],
  targets: [
    .systemLibrary(
      name: "CEvent", pkgConfig: "libevent_core", providers: [.apt(["libevent-dev"])]),
    // A peer: the same workloads in C on libevent, with nothing in between.
    .target(name: "CRawLibevent", dependencies: ["CEvent"]),
    .executableTarget(
      name: "loop-bench",
      dependencies: [
        "CRawLibevent",
        .product(name: "AsyncIO", package: "swift-asyncio"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      // Inside of the program, which can then be moved.
      resources: [.embedInCode("Peers/asyncio_raw.py")],
      swiftSettings: [.enableUpcomingFeature("NonisolatedNonsendingByDefault")]),
  ],
  swiftLanguageModes: [.v6]
)
