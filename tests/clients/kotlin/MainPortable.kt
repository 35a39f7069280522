// Prompts from standard input, answers to standard output, a line each, in hex.
import java.nio.ByteBuffer
import org.tensorflow.lite.hex
import org.tensorflow.lite.unhex

fun main() = Portable(ByteBuffer.allocateDirect(1)).use { model ->
    generateSequence { readlnOrNull() }.forEach { println(hex(model.complete(String(unhex(it))).toByteArray())) }
}
