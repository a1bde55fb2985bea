import { describe, expect, it } from 'vitest'
import { adviceFor } from './packages.ts'
import { unprivilegedUser } from './postgres-user.ts'
import { javaMajor } from './software.ts'

describe('javaMajor', () => {
  it.each([
    ['openjdk version "17.0.15" 2025-04-15', 17],
    ['openjdk version "25" 2025-09-16', 25],
    ['IMPLEMENTOR="Debian"\nJAVA_VERSION="17.0.15"', 17],
    ['java version "1.8.0_402"', 8],
    ['No Java runtime present', undefined],
  ])('reads %s as %s', (text, major) => {
    expect(javaMajor(text)).toBe(major)
  })
})

describe('unprivilegedUser', () => {
  const nobody = 'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin'

  it('prefers postgres to nobody', () => {
    const passwd = `root:x:0:0:root:/root:/bin/sh\n${nobody}\npostgres:x:101:104::/:/bin/sh\n`
    expect(unprivilegedUser(passwd)).toEqual({ uid: 101, gid: 104 })
  })

  it('takes nobody where there is no postgres, and says when there is neither', () => {
    expect(unprivilegedUser(`${nobody}\n`)).toEqual({ uid: 65534, gid: 65534 })
    expect(unprivilegedUser('root:x:0:0:root:/root:/bin/sh\n')).toBeUndefined()
  })
})

describe('adviceFor', () => {
  const missing = { titles: ['Redis'], packages: ['java', 'redis-server'], allowed: undefined }

  it('gives the commands of the system at hand', () => {
    expect(adviceFor(missing, 'linux', true)).toContain(
      'sudo apt-get install openjdk-17-jre-headless redis-server',
    )
    expect(adviceFor(missing, 'darwin', false)).toContain('brew install openjdk redis')
    expect(adviceFor(missing, 'linux', false)).toContain('package manager of this system')
  })
})
