/** The first `bytesMax` bytes of an answer, as text, and whether that is all of it. The rest is not fetched. */
export async function answerText(
  response: Response,
  bytesMax: number,
): Promise<{ text: string; whole: boolean }> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  const body: AsyncIterable<Uint8Array> | null = response.body
  for await (const chunk of body ?? []) {
    chunks.push(chunk)
    bytes += chunk.byteLength
    if (bytes > bytesMax) break
  }
  const text = Buffer.concat(chunks).subarray(0, bytesMax).toString('utf8')
  return { text, whole: bytes <= bytesMax }
}
