// Completes a text with portable.tflite of the bundle that this file lies in: $name, $mode.
//
// Needs com.google.ai.edge.litert:litert or TensorFlow Lite, and nothing beside. Call it away from the main thread.

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.Interpreter

/** The model, from the content of portable.tflite, a direct or mapped buffer. */
class Portable(model: ByteBuffer) : AutoCloseable {
    private val interpreter = Interpreter(model)

    /** The prompt, then what the model adds; temperature 0 always takes the likeliest token. */
    @Synchronized
    fun complete(prompt: String, temperature: Float = 0f, topK: Int = 0, seed: Int = 0, tokens: Int = TOKENS): String {
        val text = prompt.toByteArray().run { copyOfRange(maxOf(size - ROOM, 0), size) }
            .dropWhile { it.toInt() and 0xc0 == 0x80 }.toByteArray() // the rest of a character that was cut
        val inputs = mapOf<String, Any>(
            "prompt" to arrayOf(text.copyOf(ROOM)), "prompt_length" to text.size, "max_tokens" to tokens,
            "temperature" to temperature, "top_k" to topK, "top_p" to 1f, "seed" to seed, "complete_word" to 1,
        )
        val added = arrayOf(ByteArray(ADDED))
        val length = ByteBuffer.allocateDirect(Int.SIZE_BYTES).order(ByteOrder.nativeOrder())
        interpreter.runSignature(inputs, mapOf<String, Any>("text" to added, "text_length" to length), "generate")
        return prompt + String(added[0], 0, length.getInt(0))
    }

    override fun close() = interpreter.close()

    companion object {
        const val ROOM = $portable_prompt_bytes // the model reads so many of the prompt's last bytes
        const val TOKENS = $sequence_length // added at most
        const val ADDED = $portable_text_bytes // room for what is added
    }
}
