import { defineConfig } from 'vitest/config'

// Workspace packages are tested from their sources, so no test needs a build; only e2e runs `dist`.
// What follows `source` are vite's defaults, which a list of our own replaces.
const conditions = ['source', 'module', 'node', 'development|production']

// They stop the servers that all share.
const alone = ['chaos', 'outages'].map((name) => `apps/e2e/test/${name}.test.ts`)

export default defineConfig({
  ssr: { resolve: { conditions } },
  test: {
    // Ends a wait in vain only: one that is not ends when what it waits for is there.
    expect: { poll: { timeout: 10_000 } },
    // A third of the time went into loading the same modules for each file. So a test shares what a module keeps, such as its counters,
    // with those of other files.
    isolate: false,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['{packages,apps,infra}/*/src/**/*.test.ts', 'apps/*/explore/**/*.test.ts'],
          // They wait for nothing but a processor, which a busy machine gives them a tenth of.
          testTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['{packages,infra}/*/test/**/*.test.ts', 'apps/!(e2e)/test/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // All files share one set of servers with everything else on the machine. Four for two cores: two leave a quarter of them idle.
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['apps/e2e/test/**/*.test.ts'],
          exclude: alone,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // Each file runs the whole system, which leaves time in between to a second one.
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e-alone',
          include: alone,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
})
