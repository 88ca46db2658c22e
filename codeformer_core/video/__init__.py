"""Videos of any length: read, follow people, restore their faces steadily, write with the sound."""
