# The command baseledger. Node runs the TypeScript sources as they are.
FROM docker.io/library/node:24.9.0-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force
COPY db ./db
COPY src ./src
# committed migrations may be readable for their author only
RUN chmod -R a+rX db src
USER node
ENTRYPOINT ["node", "src/cli/main.ts"]
