// Stands for TensorFlow Lite's class: nothing of it runs outside Android. Answers are read from the file of ANSWERS.
package org.tensorflow.lite

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

class Interpreter(model: ByteBuffer) : AutoCloseable {
    private val answers = File(System.getenv("ANSWERS")).readLines().associate { line ->
        val (given, made) = line.split("|")
        given to made
    }

    init {
        require(model.isDirect) { "the Java interface takes direct buffers only" }
    }

    /** A string tensor as TensorFlow Lite lays it out: how many strings, where each begins, where the last ends. */
    fun run(input: Any, output: Any) {
        val bytes = unhex(answers.getValue(hex((input as String).toByteArray())))
        val tensor = ByteBuffer.allocate(12 + bytes.size).order(ByteOrder.nativeOrder())
        tensor.putInt(1).putInt(12).putInt(12 + bytes.size).put(bytes).flip()
        (output as ByteBuffer).put(tensor)
    }

    fun runSignature(inputs: Map<String, Any>, outputs: Map<String, Any>, signatureKey: String) {
        require(signatureKey == "generate") { signatureKey }
        require(inputs["temperature"] as Float == 0f && inputs["top_p"] as Float == 1f)
        if ("prompt" in inputs) runBytes(inputs, outputs) else runTokens(inputs, outputs)
    }

    /** Text by text; of the bytes behind the prompt nothing is asked. */
    @Suppress("UNCHECKED_CAST")
    private fun runBytes(inputs: Map<String, Any>, outputs: Map<String, Any>) {
        val names = setOf("prompt", "prompt_length", "max_tokens", "temperature", "top_k", "top_p", "seed", "complete_word")
        require(inputs.keys == names && outputs.keys == setOf("text", "text_length")) { "$inputs $outputs" }
        val given = (inputs["prompt"] as Array<ByteArray>)[0].copyOf(inputs["prompt_length"] as Int)
        val made = unhex(answers.getValue(hex(given)))
        made.copyInto((outputs["text"] as Array<ByteArray>)[0])
        (outputs["text_length"] as ByteBuffer).putInt(made.size)
    }

    @Suppress("UNCHECKED_CAST")
    private fun runTokens(inputs: Map<String, Any>, outputs: Map<String, Any>) {
        val names = setOf("tokens", "length", "max_length", "temperature", "top_k", "top_p", "seed")
        require(inputs.keys - "complete_word" == names && outputs.keys == setOf("tokens", "length")) { "$inputs $outputs" }
        val given = (inputs["tokens"] as Array<IntArray>)[0].take(inputs["length"] as Int)
        val made = answers.getValue(given.joinToString(" ")).split(" ").map { it.toInt() }
        val tokens = (outputs["tokens"] as Array<IntArray>)[0]
        require(inputs["max_length"] as Int == tokens.size)
        made.forEachIndexed { place, id -> tokens[place] = id }
        (outputs["length"] as ByteBuffer).putInt(made.size)
    }

    override fun close() {}
}

fun hex(bytes: ByteArray) = bytes.joinToString("") { "%02x".format(it) }

fun unhex(text: String) = text.chunked(2).map { it.toInt(16).toByte() }.toByteArray()
