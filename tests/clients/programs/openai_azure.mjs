// AzureOpenAI, which finds its endpoint, key and API version in the environment.
import { AzureOpenAI } from 'openai';
import { play } from './openai_node.mjs';

await play(new AzureOpenAI());
