// AzureOpenAI for one deployment.
import { AzureOpenAI } from 'openai';
import { play } from './openai_node.mjs';

await play(new AzureOpenAI({ deployment: process.env.UNDERSTUDY_MODEL }));
